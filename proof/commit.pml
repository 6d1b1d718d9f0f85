/*
 * Turns against commands, on one instance ID.
 *
 * What it shows: whatever workers believe, however long a turn stalls, whoever ends, purges or starts the ID
 * anew meanwhile, a turn is committed to the very state that it was made from, or not at all; every message is
 * taken in once, by the execution that it was for; and a timer fires once in a run, if it does.
 *
 * How to read it. A `proctype` is a program that runs beside the others; Spin tries every order of their steps.
 * `do :: a :: b od` repeats: any branch whose first step can be done may be chosen. A step waits until its
 * condition holds. What stands in `atomic { }` or `d_step { }` is one step: here, one transaction of the
 * database, or something that a worker does by itself. `assert` is a property: Spin fails when it can be false.
 *
 * Transactions are whole steps, because each locks the row first, or is one conditional statement. PostgreSQL's
 * snapshots, which may be older than the row's lock, are in mail.pml and start.pml.
 *
 * Names in capitals that begin with NO_ or say what is wrong are mutants: `spin -DNO_SEQUENCE` takes that guard
 * out. Variables that begin with `true` are what really is. The engine does not have them; only asserts read them.
 */

/* ---- Bounds: how often each thing may happen. -------------------------------------------------------- */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef STARTS
#define STARTS 2     /* also those that replace or recreate */
#endif
#ifndef EVENTS
#define EVENTS 1
#endif
#ifndef RESULTS
#define RESULTS 1    /* answers of children or activities, by message */
#endif
#ifndef NEXTS
#define NEXTS 1      /* continue-as-new */
#endif
#ifndef LOCALS
#define LOCALS 2     /* turns that take in neither a message nor a timer: activities of this process, adoption */
#endif
#ifndef TIMERS
#define TIMERS 0     /* turns that set the timer: 0 or 1 */
#endif
#ifndef REPEATS
#define REPEATS 0    /* messages that the mailbox hands over though they were consumed */
#endif
#ifndef TERMINATES
#define TERMINATES 1
#endif
#ifndef PURGES
#define PURGES 1
#endif
#ifndef REWINDS
#define REWINDS 1
#endif
#define MESSAGES (STARTS + EVENTS + RESULTS + NEXTS + REWINDS)

/* ---- The database. ----------------------------------------------------------------------------------- */

#define ABSENT 0
#define LIVE 1
#define COMPLETED 2
#define FAILED 3
#define TERMINATED 4

/* The row of the ID in `inst`: one at most, because (hub, id) is a unique key. */
typedef Row {
  unsigned status : 3;
  unsigned iid : 2;          /* a new one for each insert, never used again */
  unsigned runNumber : 3;
  unsigned generation : 3;
  unsigned sequence : 4;
  unsigned token : 4;
  unsigned mail : 3;
  bit written;               /* a worker of this name made a commit of this run; else nobody did */
  unsigned owner : 2         /* who claimed the shard last; only mutants ask for it */
};
Row row;
unsigned floor : 4;          /* `shard.token`: what purge leaves behind */
unsigned nextIid : 2 = 1;

/* `message`: the index is the message's number, never used again. */
#define START 1
#define EVENT 2
#define RESULT 3
typedef Message {
  bit there;
  unsigned kind : 2;
  unsigned iid : 2;
  unsigned ofRun : 3;        /* events reach every generation of this run */
  unsigned generation : 3;   /* starts and results reach this generation only; 0: not set */
  unsigned mail : 3;         /* the mail counter after it was accepted; 0 on results */
  bit trueForRun;            /* it really is for the run that is there now, */
  bit trueForExecution;      /* and for its execution */
  bit settled                /* an event: it was taken in, or recorded as dropped */
};
Message message[MESSAGES];
unsigned sent : 4;           /* how many messages there ever were */
byte firstMail;              /* which of them start an execution, one bit each */

/* The ID's timer: its row in `timer`, whose key has iid and generation; and what the history says of it. */
typedef Timer {
  bit there;
  unsigned iid : 2;
  unsigned generation : 3;
  bit open                   /* in the history of this run: set, and it has not fired */
};
Timer timer;

/* ---- What really is. --------------------------------------------------------------------------------- */

unsigned trueLive : 2;       /* runs that began and have not ended */
unsigned highestToken : 4;
bit trueReplacing;           /* a run was ended by a start whose own has not begun */
bit trueAnswers;             /* the answer on its way is for the execution that is there now */

/* ---- How often things happened. ---------------------------------------------------------------------- */

unsigned starts : 3; unsigned events : 2; unsigned results : 2; unsigned nexts : 2; unsigned locals : 2; bit timers;
unsigned repeats : 2; unsigned terminates : 2; unsigned purges : 2; unsigned rewinds : 2;

/* ---- What a worker has in memory of the instance: worker/resident.ts. -------------------------------- */

typedef Memory {
  bit loaded;
  bit stale;                 /* mail is missing: to be read again */
  unsigned iid : 2;
  unsigned generation : 3;
  unsigned sequence : 4;
  unsigned mailSeen : 3;     /* by this turn, or an earlier one */
  unsigned mailReceived : 3; /* the highest in memory */
  byte inbox;                /* messages, one bit each */
  bit fired;                 /* the timer's firing is in the inbox, too */
  bit trueIsCurrent          /* the row is still as this says */
};
Memory memory[WORKERS];

/* The commit that a worker sends: core/turn.ts, TurnCommit. */
#define GOES_ON 0
#define CONTINUES 1
#define ENDS 2
typedef Commit {
  byte consumed;
  bit fired;
  bit setsTimer;
  unsigned outcome : 2;
  bit trueWritten            /* it was written */
};
Commit commit[WORKERS];

/* What a worker's read of due timers said: worker/timer-loop.ts. It may be handed over long after. */
typedef Due {
  bit there;
  unsigned iid : 2;
  unsigned generation : 3
};
Due due[WORKERS];

#define BIT(n) (1 << (n))

/* For counting within one step: no part of any state. */
hidden byte i, j, missing;

/* ---- The guard of a commit: sqlite/turns.ts buildUpdate, postgres/turn-statement.ts guardedUpdate. --- */

#ifdef NO_IID
#define SAME_ROW(w) true                                     /* found by ID: also the one after a purge */
#else
#define SAME_ROW(w) (row.iid == memory[w].iid)
#endif

#ifdef NO_GENERATION
#define SAME_GENERATION(w) true
#else
#define SAME_GENERATION(w) (row.generation == memory[w].generation)
#endif

#ifdef NO_SEQUENCE
#define SAME_SEQUENCE(w) true
#else
#define SAME_SEQUENCE(w) (row.sequence == memory[w].sequence)
#endif

#ifdef NO_STATUS
#define IS_LIVE (row.status != ABSENT)
#else
#define IS_LIVE (row.status == LIVE)
#endif

#ifdef NO_MAIL
#define SAW_ALL_MAIL(w) true
#else
#define SAW_ALL_MAIL(w) (commit[w].outcome != ENDS || memory[w].mailSeen == row.mail)
#endif

#ifdef NO_MESSAGES
#define MESSAGES_EXIST(w) true
#else
#define MESSAGES_EXIST(w) (missing == 0)
#endif

#ifdef NO_TIMERS
#define TIMER_IS_SET(w) true
#else
#define TIMER_IS_SET(w) (!commit[w].fired || \
  (timer.there && timer.iid == memory[w].iid && timer.generation == memory[w].generation))
#endif

/* A lease in place of the state: whoever claimed last may write. */
#ifdef LEASE_IS_GUARD
#define LEASE_HOLDS(w) (row.owner == (w) + 1)
#else
#define LEASE_HOLDS(w) true
#endif

/* ---- What transactions have in common. --------------------------------------------------------------- */

/* Every new token is above all that there ever were for this ID. */
inline drawToken(drawn) {
  assert(drawn > highestToken);                              /* the fencing token rises for ever */
  highestToken = drawn;
  row.token = highestToken
}

/* What turns are made from has changed: everybody's memory is of the past. */
inline change() {
  for (j : 0 .. WORKERS - 1) { memory[j].trueIsCurrent = 0 }
}

/* A new execution: with its first mail, which does not raise the mail counter. */
inline beginExecution() {
  for (j : 0 .. MESSAGES - 1) { message[j].trueForExecution = 0 };
  trueAnswers = 0;
  send(START, 0, row.generation)
}

inline send(what, toRun, toGeneration) {
  message[sent].there = 1;
  message[sent].kind = what;
  message[sent].iid = row.iid;
  message[sent].ofRun = toRun;
  message[sent].generation = toGeneration;
  message[sent].mail = row.mail;
  message[sent].trueForRun = 1;
  message[sent].trueForExecution = 1;
  firstMail = (what == START -> firstMail | BIT(sent) : firstMail);
  sent++
}

inline setTimer() {
  timer.there = 1; timer.iid = row.iid; timer.generation = row.generation
}

/* The row of the timer is deleted, whatever becomes of the timer. */
inline deleteTimer() {
  timer.there = 0; timer.iid = 0; timer.generation = 0
}

/* A message is deleted. What it was is forgotten where nobody can still hand it over. */
inline delete(n) {
  message[n].there = 0;
  message[n].settled = (message[n].kind == EVENT);
  if
  :: REPEATS == 0 ->
     message[n].iid = 0; message[n].ofRun = 0; message[n].generation = 0; message[n].mail = 0;
     message[n].trueForRun = 0; message[n].trueForExecution = 0
  :: else
  fi
}

/* core's onLive, and finishRun: nothing of the run is left behind; events that nobody took in count as dropped. */
inline finishRun(how, byItsTurn) {
  assert(row.status == LIVE);                                /* what has ended stays as it ended */
  row.status = how;
  trueLive--;
  change();
  deleteTimer();
  for (i : 0 .. MESSAGES - 1) {
    if
    :: message[i].there && message[i].iid == row.iid ->
       assert(message[i].kind != EVENT || !byItsTurn);       /* an end of its own loses nothing */
#ifndef MAIL_LEFT
       delete(i)
#endif
    :: else
    fi
  }
}

/*
 * After each transaction. An accepted event waits for its run, which lives; or it was taken in, or counted as dropped.
 * A replaced ID has its next run.
 */
inline check() {
  assert(!trueReplacing);
  for (i : 0 .. MESSAGES - 1) {
    assert(message[i].kind != EVENT || message[i].settled ||
      (message[i].there && row.status == LIVE && message[i].trueForRun))
  };
  skip
}

/* ---- Commands: core/command.ts decide, stores' commands.ts, begin-run.ts, purge.ts, rewind.ts. ------- */

/* A new run: inserted, or put over a row that has ended. */
inline beginRun() {
  starts++;
  for (j : 0 .. MESSAGES - 1) { message[j].trueForRun = 0 };
  trueLive++;
  assert(trueLive <= 1);                                     /* one live execution per ID */
  if
  :: row.status == ABSENT ->
     row.iid = nextIid; nextIid++;
     row.runNumber = 1;
     row.generation = 1;
     row.mail = 0;
     drawToken(floor + 1)
  :: else ->
     row.runNumber++;
#ifdef GENERATION_RESET
     row.generation = 1;
#else
     row.generation++;
#endif
#ifdef TOKEN_RESET
     drawToken(1)
#else
     drawToken(row.token + 1)
#endif
  fi;
  row.sequence = 0;
  row.written = 0;
  row.status = LIVE;
  timer.open = 0;
  change();
  beginExecution()
}

/* One more commit of the generation, though no worker made it: endRunFromOutside. */
inline endFromOutside() {
  finishRun(TERMINATED, false);
#ifndef END_KEEPS_SEQUENCE
  row.sequence++
#endif
}

proctype clients() {
end:
  do
  /* Start, if it is free or has ended. */
  :: d_step { starts < STARTS && row.status != LIVE -> beginRun(); check() }

  /* Start that replaces the live run: one transaction ends it and begins the next. */
#ifdef TWO_TRANSACTIONS
  :: d_step { starts < STARTS && row.status == LIVE -> endFromOutside(); trueReplacing = 1; check() }
  :: d_step { trueReplacing && row.status != LIVE -> beginRun(); trueReplacing = 0; check() }
#else
  :: d_step { starts < STARTS && row.status == LIVE ->
       endFromOutside(); trueReplacing = 1; beginRun(); trueReplacing = 0; check() }
#endif

  /* Raise: accepted for a live run, under its row's lock, with the mail counter. */
  :: d_step { events < EVENTS && row.status == LIVE -> events++; row.mail++; send(EVENT, row.runNumber, 0); check() }

  :: d_step { terminates < TERMINATES && row.status == LIVE -> terminates++; endFromOutside(); check() }

  /* Purge: ended only; the floor of the tokens is lifted, nothing else stays. */
  :: d_step { purges < PURGES && row.status > LIVE ->
       purges++;
#ifndef FLOOR_FORGOTTEN
       floor = (row.token > floor -> row.token : floor);
#endif
       for (i : 0 .. MESSAGES - 1) {
         if
         :: message[i].there && message[i].iid == row.iid -> delete(i)
         :: else
         fi
       };
       row.status = ABSENT; row.runNumber = 0; row.generation = 0; row.sequence = 0; row.token = 0; row.mail = 0;
       row.written = 0; row.iid = 0;
       timer.open = 0;
       change();
       check()
     }

  /* Rewind: a failed run goes on in a new generation, whose history is its first commit. Open timers are set again. */
  :: d_step { rewinds < REWINDS && row.status == FAILED ->
       rewinds++;
       trueLive++;
       assert(trueLive <= 1);
       row.generation++;
       row.sequence = 1;
       drawToken(row.token + 1);
       row.status = LIVE;
       if
       :: timer.open -> setTimer()
       :: else
       fi;
       change();
       beginExecution();
       check()
     }
  od
}

/*
 * An answer of a child or an activity: mailAnswers reads whose it is (a live run's current generation) from
 * its snapshot, without a lock, and inserts the message: by then the receiver may have moved on.
 */
proctype answerer() {
  unsigned iid : 2;
  unsigned generation : 3;
end:
  do
  :: d_step { results < RESULTS && row.status == LIVE ->
       results++; iid = row.iid; generation = row.generation; trueAnswers = 1 };
     d_step {
       message[sent].there = 1; message[sent].kind = RESULT; message[sent].iid = iid;
#ifndef RESULT_NO_GENERATION
       message[sent].generation = generation;
#endif
       message[sent].trueForExecution = trueAnswers;
       sent++; iid = 0; generation = 0
     }
  od
}

/* ---- Workers: worker/dispatcher.ts, worker/resident.ts, worker/persist.ts. --------------------------- */

/* Whether a message is for what is in memory, and not in there. Those of earlier generations are void. */
#define IS_NEW(w, m) ((m) < sent && (message[m].there || repeats < REPEATS) && message[m].iid == memory[w].iid && !(memory[w].inbox & BIT(m)) && \
  (message[m].generation == 0 || message[m].generation >= memory[w].generation))

inline drop(w) {
  memory[w].loaded = 0; memory[w].stale = 0; memory[w].iid = 0; memory[w].generation = 0;
  memory[w].sequence = 0; memory[w].mailSeen = 0; memory[w].mailReceived = 0; memory[w].inbox = 0; memory[w].fired = 0;
  memory[w].trueIsCurrent = 0
}

inline forgetCommit(w) {
  commit[w].consumed = 0; commit[w].fired = 0; commit[w].setsTimer = 0; commit[w].outcome = 0;
  commit[w].trueWritten = 0
}

/*
 * Any worker may claim the shard at any time, whoever held it: leases end when they like, and whoever held one
 * goes on with what it has in memory. That is all that a model of clocks could add.
 */
inline load(w) {
  drop(w);
#ifdef LEASE_IS_GUARD
  row.owner = w + 1;
#endif
  memory[w].loaded = 1;
  memory[w].iid = row.iid;
  memory[w].generation = row.generation;
  memory[w].sequence = row.sequence;
  memory[w].mailSeen = row.mail;
  memory[w].mailReceived = row.mail;
  memory[w].trueIsCurrent = 1;
  for (i : 0 .. MESSAGES - 1) {
    if
    :: message[i].there && message[i].iid == row.iid &&
       (message[i].generation == 0 || message[i].generation == row.generation) ->
       memory[w].inbox = memory[w].inbox | BIT(i)
    :: else
    fi
  };
  skip
}

/* In the order of their numbers; but with LATE, one with a lower number may appear after one with a higher. */
#ifdef LATE
#define IS_NEXT(w, m) IS_NEW(w, m)
#else
#define IS_NEXT(w, m) (IS_NEW(w, m) && !((m) > 0 && IS_NEW(w, (m) - 1)) && !((m) > 1 && IS_NEW(w, (m) - 2)) && \
  !((m) > 2 && IS_NEW(w, (m) - 3)) && !((m) > 3 && IS_NEW(w, (m) - 4)) && !((m) > 4 && IS_NEW(w, (m) - 5)))
#endif

#ifdef START_COUNTS_AS_MAIL
#define NEXT_MAIL(m) 1
#else
#define NEXT_MAIL(m) (message[m].kind == EVENT)
#endif

/*
 * The mailbox hands over a message. Now and then it is from a page that was read long ago, and was consumed since.
 * (The real one takes care to hand over each message once; nothing rests on it.)
 */
inline receive(w, m) {
  repeats = (message[m].there -> repeats : repeats + 1);
  if
  :: message[m].generation > memory[w].generation -> drop(w) /* somebody began another execution */
  :: else ->
     memory[w].inbox = memory[w].inbox | BIT(m);
     if
     :: message[m].kind != RESULT && message[m].mail > memory[w].mailReceived ->
#ifndef NO_GAP_CHECK
        /* Mail is numbered without gaps; a start has the number of the mail before it. */
        memory[w].stale = memory[w].stale | (message[m].mail > memory[w].mailReceived + NEXT_MAIL(m));
#endif
        memory[w].mailReceived = message[m].mail
     :: else
     fi
  fi
}

/* What a read of due timers said is handed over: Dispatcher.fire. */
inline fire(w) {
  if
  :: due[w].iid != memory[w].iid || due[w].generation < memory[w].generation
  :: due[w].iid == memory[w].iid && due[w].generation == memory[w].generation -> memory[w].fired = 1
  :: due[w].iid == memory[w].iid && due[w].generation > memory[w].generation -> drop(w)
  fi;
  due[w].there = 0; due[w].iid = 0; due[w].generation = 0
}

/* Takes what waits, and runs the turn. What it will lead to (how) is the code's own business: anything. */
inline takeTurn(w, how) {
  commit[w].consumed = memory[w].inbox;
  commit[w].fired = memory[w].fired;
  commit[w].outcome = how;
  memory[w].inbox = 0;
  memory[w].fired = 0;
  memory[w].mailSeen = memory[w].mailReceived
}

/* The statement that writes, and nothing else: commitTurn, commitTurns. */
inline commitTurn(w) {
  missing = 0;
  for (i : 0 .. MESSAGES - 1) {
    if
    :: (commit[w].consumed & BIT(i)) && !(message[i].there && message[i].iid == row.iid) -> missing++
    :: else
    fi
  };
  if
  :: SAME_ROW(w) && IS_LIVE && SAME_GENERATION(w) && SAME_SEQUENCE(w) && SAW_ALL_MAIL(w) && MESSAGES_EXIST(w) &&
     TIMER_IS_SET(w) && LEASE_HOLDS(w) ->
     accepted = 1;
     assert(row.status == LIVE);                             /* what has ended stays as it ended */
     assert(memory[w].trueIsCurrent);                    /* one commit wins on each state */
     assert(!commit[w].trueWritten);                         /* and only once */
     for (i : 0 .. MESSAGES - 1) {
       if
       :: commit[w].consumed & BIT(i) ->
          assert(message[i].there);                          /* taken in once */
          assert(message[i].kind != EVENT || message[i].trueForRun);
          assert(message[i].kind == EVENT || message[i].trueForExecution);
          delete(i)
       :: else
       fi
     };
     if
     :: commit[w].fired ->
        assert(timer.open);                                  /* a timer fires once in a run */
        timer.open = 0;
#ifndef FIRED_TIMER_STAYS
        deleteTimer()
#endif
     :: commit[w].setsTimer -> timer.open = 1; setTimer()
     :: else
     fi;
     change();
     memory[w].trueIsCurrent = 1;                            /* the one that made it knows it, in a moment */
     row.written = 1;
     commit[w].trueWritten = 1;
     if
     :: commit[w].outcome == GOES_ON -> row.sequence++
     :: commit[w].outcome == CONTINUES ->
        row.sequence = 0;
        row.generation++;
        deleteTimer();
        timer.open = 0;
        drawToken(row.token + 1);
        /* Results were for the old generation; events are for the run and go on. */
        for (i : 0 .. MESSAGES - 1) {
          if
          :: message[i].there && message[i].iid == row.iid && message[i].ofRun == 0 -> delete(i)
          :: else
          fi
        };
        beginExecution()
     :: commit[w].outcome == ENDS -> row.sequence++; finishRun(how, true)
     fi
  :: else -> accepted = 0
  fi;
  /*
   * A commit that was refused because it was written before is recognised by writer and commit number:
   * tokenIfCommitted, COMMITTED_BEFORE. Both are in the row and in the history, which goes with a purge. The two
   * workers may be two slots of one process, with one name.
   */
  if
  :: !accepted && row.status != ABSENT && row.iid == memory[w].iid ->
#ifdef NO_COMMIT_NUMBER
     accepted = row.written && row.generation == memory[w].generation && row.sequence == memory[w].sequence + 1
#else
     accepted = commit[w].trueWritten
#endif
  :: else
  fi;
  assert(!accepted || commit[w].trueWritten)                   /* whoever is told "accepted" has written */
}

/* What is in memory after an accepted commit. */
inline advance(w) {
  if
  :: commit[w].outcome == ENDS -> drop(w)
  :: commit[w].outcome == CONTINUES ->
     memory[w].generation++;
     memory[w].sequence = 0;
     memory[w].fired = 0;
     for (i : 0 .. MESSAGES - 1) {                           /* beginGeneration: only the run's mail remains */
       if
       :: message[i].kind == RESULT -> memory[w].inbox = memory[w].inbox & ~BIT(i)
       :: else
       fi
     }
  :: else ->
     memory[w].sequence++
  fi
}

/* Resident.isReady: something came in; in a new generation, its start is among it. Events wait for that. */
#define IS_READY(w) ((memory[w].inbox != 0 || memory[w].fired) && \
  (memory[w].sequence > 0 || (memory[w].inbox & firstMail) != 0))

/* What needs no message: an activity of this generation that ran here, an adoption. */
#define HAS_LOCAL(w) (memory[w].inbox == 0 && !memory[w].fired && memory[w].sequence > 0 && locals < LOCALS)

#define RECEIVES(w, m) d_step { memory[w].loaded && !memory[w].stale && IS_NEXT(w, m) -> receive(w, m) }

proctype worker(byte w) {
  unsigned how : 3;
  bit accepted;
end:
  do
  :: d_step { row.status == LIVE -> load(w) }

  /* The mailbox brings something that is new to this memory. */
  :: RECEIVES(w, 0)
  :: RECEIVES(w, 1)
  :: RECEIVES(w, 2)
#if MESSAGES > 3
  :: RECEIVES(w, 3)
#endif
#if MESSAGES > 4
  :: RECEIVES(w, 4)
#endif
#if MESSAGES > 5
  :: RECEIVES(w, 5)
#endif
#if MESSAGES > 6
  :: RECEIVES(w, 6)
#endif

#if TIMERS > 0
  /* The timer loop: it reads when the timer is due, and hands over what it read; neither waits for anything else. */
  :: d_step { timer.there && !due[w].there ->
       due[w].there = 1; due[w].iid = timer.iid; due[w].generation = timer.generation }
  :: d_step { due[w].there && memory[w].loaded -> fire(w) }
#endif

  /* Stale memory is dropped before its next turn. */
  :: d_step { memory[w].stale -> drop(w) }

  /* A turn; its end, or how it goes on, is anything. */
  :: atomic {
       memory[w].loaded && !memory[w].stale && (IS_READY(w) || HAS_LOCAL(w)) ->
       locals = (memory[w].inbox == 0 && !memory[w].fired -> locals + 1 : locals);
       if
       :: takeTurn(w, GOES_ON)
       :: timers < TIMERS && !memory[w].fired -> timers++; takeTurn(w, GOES_ON); commit[w].setsTimer = 1
       :: nexts < NEXTS -> nexts++; takeTurn(w, CONTINUES)
       :: how = COMPLETED; takeTurn(w, ENDS)
       :: REWINDS > 0 -> how = FAILED; takeTurn(w, ENDS)
       fi
     };
     /* Here it may stand still for as long as it likes. */
again:
     skip;
     d_step { commitTurn(w); check() };
     if
#ifndef ANSWERS_ARRIVE
     :: goto again                                           /* the answer was lost: persist asks again */
#endif
     :: d_step { accepted -> advance(w); forgetCommit(w); how = 0; accepted = 0 }
#ifdef REPAIR
     /* The memory is made to fit the row, and the same turn is sent again. */
     :: d_step { !accepted && row.status == LIVE ->
          memory[w].iid = row.iid; memory[w].generation = row.generation; memory[w].sequence = row.sequence };
        goto again
#endif
     :: d_step { !accepted -> drop(w); forgetCommit(w); how = 0 }     /* refused: dropped, never repaired */
     fi
  od
}

init {
  atomic {
    byte w;
    for (w : 0 .. WORKERS - 1) { run worker(w) };
    run clients();
    run answerer()
  }
}
