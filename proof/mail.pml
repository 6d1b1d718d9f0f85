/*
 * The turn that ends a run, on PostgreSQL: its snapshot may be older than the row that it locks.
 *
 * What it shows: an event that was accepted is taken in by its run, or counted as dropped, once; it never
 * reaches the next run; and whoever waits for a run's outcome is told that outcome once.
 *
 * At READ COMMITTED a statement takes a snapshot, then waits for the row's lock, then evaluates its condition
 * anew on the row as it is by then. What it reads beside the row stays as the snapshot shows it. A turn's commit
 * is one such statement: two steps here. Commands lock the row first, and each of their statements takes a
 * snapshot after that: one step. How to read Promela: see commit.pml.
 */

#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef WAITERS
#define WAITERS 1
#endif
#define RUNS 2
#define ALL_EVENTS ((1 << EVENTS) - 1)
#define BIT(n) (1 << (n))

/* The row of `inst`. It is the same row for every run, unless it is purged. */
bit live = 1;
byte run_ = 1;
byte mail;

/* `message`: the events of each run that are there, one bit each; `waiter`: whether one of each run is there. */
byte message[RUNS + 1];
bit waiter[RUNS + 1];
byte accepted;               /* how many events */
bit attached;                /* somebody began to wait */

/* What became of them. */
byte taken[RUNS + 1];        /* events: by a turn of this run */
byte dropped[RUNS + 1];      /* events: execution.dropped of this run */
byte told[RUNS + 1];         /* answers about this run's outcome */
byte asked[RUNS + 1];        /* waiters of this run that were accepted */
byte eventsOf[RUNS + 1];     /* events that this run accepted */

hidden byte i;

#define COUNT(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))

/* answerLeftWaiters: answers whoever still waits for a run that is over. */
inline answerLeftWaiters(r) {
  told[r] = told[r] + waiter[r];
  waiter[r] = 0
}

/* Events of a run that is over, which its end did not see: they count as dropped, too. */
inline dropLeftMail(r) {
#ifndef LEFT_MAIL_STAYS
  dropped[r] = dropped[r] + COUNT(message[r]);
  message[r] = 0
#else
  skip
#endif
}

/* finishRuns: an end from outside. Its statements see all that was committed before the row was locked. */
inline endFromOutside() {
  live = 0;
  dropped[run_] = dropped[run_] + COUNT(message[run_]);
  message[run_] = 0;
  told[run_] = told[run_] + waiter[run_];
  waiter[run_] = 0
}

proctype clients() {
end:
  do
  /* Raise: postMail. The row's lock is held, the run lives, and the counter rises with the message. */
  :: d_step { accepted < EVENTS && live ->
#ifndef EVENT_RAISES_NO_MAIL
       mail++;
#endif
       message[run_] = message[run_] | BIT(accepted); eventsOf[run_]++; accepted++ }

  /* A child start that attaches: addWaiter. */
  :: d_step { !attached && WAITERS > 0 && live ->
#ifndef WAITER_RAISES_NO_MAIL
       mail++;
#endif
       attached = 1; waiter[run_] = 1; asked[run_]++ }

  /* Terminate. */
  :: d_step { live && run_ == 1 -> endFromOutside() }

  /* A start over the ended run: beginRuns. Who still waits for that run is told of it. */
  :: d_step { !live && run_ < RUNS ->
#ifndef WAITERS_LEFT_AT_START
       answerLeftWaiters(run_);
#endif
       dropLeftMail(run_);
       run_++; live = 1 }
  od
}

/* sweepWaiters and sweepOrphans, at any time: of the run that has ended, and of those before it. */
#define IS_OVER(r) (r < run_ || (r == run_ && !live))

inline sweepMail(r) {
#ifdef LEFT_MAIL_STAYS
  message[r] = 0                                             /* deleted, and not counted */
#else
  dropLeftMail(r)
#endif
}

proctype sweep() {
end:
  do
#ifndef WAITERS_NOT_SWEPT
  :: d_step { IS_OVER(1) && waiter[1] -> answerLeftWaiters(1) }
  :: d_step { IS_OVER(2) && waiter[2] -> answerLeftWaiters(2) }
#endif
  :: d_step { IS_OVER(1) && message[1] != 0 -> sweepMail(1) }
  :: d_step { IS_OVER(2) && message[2] != 0 -> sweepMail(2) }
  od
}

/* An owner that ends each run as soon as it can. */
proctype worker() {
  byte run1, seen, inbox, events, refusals;
  bit waits, anyMail, ended;
end:
  do
  :: d_step { live && run1 == 0 ->                           /* load: one statement, one snapshot */
       run1 = run_; seen = mail;
       inbox = message[1] | message[2]                       /* by iid, whatever run they are of */
     };
     /* Refused again and again (MAX_REFUSED_ENDS), a turn ends its run whatever came. */
     if
     :: anyMail = 0
     :: refusals > 0 -> anyMail = 1
     fi;
     /* The snapshot. */
     d_step { events = message[run1]; waits = waiter[run1] };
     /* The lock, the guard on the row as it is now, and the write: guardedUpdate, and what hangs on it. */
     d_step {
       if
#ifdef NO_MAIL
       :: live && run_ == run1 && (inbox & ~(message[1] | message[2])) == 0 ->
#else
       :: live && run_ == run1 && (anyMail || seen == mail) && (inbox & ~(message[1] | message[2])) == 0 ->
#endif
          assert((inbox & ~message[run1]) == 0);             /* nothing of another run reaches this one */
          assert(anyMail || (message[run1] & ~inbox) == 0);  /* an end that has seen all mail loses nothing */
          live = 0; ended = 1;
          taken[run1] = taken[run1] + COUNT(inbox);
          dropped[run1] = dropped[run1] + COUNT(events & ~inbox);
          message[run1] = message[run1] & ~(inbox | events);
          told[run1] = told[run1] + (waits && waiter[run1]);
          waiter[run1] = waiter[run1] && !waits
       :: else -> refusals = 1
       fi
     };
     /* answerThoseUnseen looks again after an end whatever came; or the process dies before. */
     if
     :: d_step { ended && anyMail && run_ == run1 -> answerLeftWaiters(run1) }
     :: true
     fi;
     d_step { run1 = 0; seen = 0; inbox = 0; events = 0; waits = 0; anyMail = 0; ended = 0 }
  od
}

init {
  atomic { run clients(); run sweep(); run worker(); run worker() };
  /* When nothing is left to do. */
  atomic {
    timeout ->
    for (i : 1 .. RUNS) {
      assert(taken[i] + dropped[i] + COUNT(message[i]) == eventsOf[i]);  /* every event once */
      assert(message[i] == 0 || (live && run_ == i));
      assert(told[i] + waiter[i] == asked[i]);                           /* every waiter once */
      assert(!waiter[i] || (live && run_ == i))
    }
  }
}
