/*
 * Starts of one ID against each other, against ends and purges, on PostgreSQL.
 *
 * What it shows: one live execution per ID; a start takes effect at one point, and whoever is refused, or told
 * that it began a run, is told the truth; the fencing token rises for ever, also across purge.
 *
 * A start reads without a lock first. If that says "refused", it is answered from there. If nobody has the ID, it
 * goes straight to the insert, which the unique key decides. Otherwise, or if that was lost, it locks the row and
 * decides anew. How to read Promela: see commit.pml; snapshots and locks: see mail.pml.
 */

#ifndef STARTERS
#define STARTERS 3
#endif
#ifndef PURGES
#define PURGES 2
#endif

#define ABSENT 0
#define LIVE 1
#define ENDED 2

/* The row of `inst`, as it was committed last. */
byte status = ABSENT;
byte token;
byte execution;              /* a number for each, as random as an execution ID */
byte floor;                  /* `shard.token` */

/* Who has inserted the row in a transaction that is still open: 0, nobody. The unique key makes others wait. */
byte inserting;
byte insertedToken;

/* What really is. */
byte highestToken;           /* that was ever committed for this ID */
byte trueLive;               /* executions that began and have not ended */
byte executions;
byte liveDuring[STARTERS + 1]; /* for each start under way: the executions that were live meanwhile, one bit each */
byte purges;

hidden byte i;
#define BIT(n) (1 << (n))

/* A run has begun, in the transaction that commits now. */
inline begun(drawn) {
  trueLive++;
  assert(trueLive <= 1);                                     /* one live execution per ID */
  assert(drawn > highestToken);                              /* the fencing token rises for ever */
  highestToken = drawn;
  token = highestToken;
  status = LIVE;
  executions++;
  execution = executions;
  for (i : 1 .. STARTERS) { liveDuring[i] = liveDuring[i] | BIT(execution) };
  skip
}

inline end() {
  status = ENDED;
  trueLive--
}

/* It was refused because this execution holds the ID: it did, at some moment of the call. */
inline refused(me, holder) {
  assert(liveDuring[me] & BIT(holder))
}

/* Under the row's lock: decideStart, and the parts of its change. `terminates`: the policy ends a live run. */
inline decideLocked(terminates) {
  if
  :: status == LIVE && !terminates -> refused(me, execution); done = 1
  :: status == LIVE && terminates -> end(); begun(token + 1); done = 1
  :: status == ENDED -> begun(token + 1); done = 1
  :: status == ABSENT -> skip                                /* purged meanwhile: to the insert */
  fi
}

proctype starter(byte me; bit terminates) {
  bit done, free;
  byte floorSeen, holder;

  /* answersFromRead: a plain read. What is live stays from here on in what may be told. */
  d_step {
    liveDuring[me] = (status == LIVE -> BIT(execution) : 0);
    free = (status == ABSENT);
    holder = (status == LIVE && !terminates -> execution : 0)
  };
  if
  :: holder != 0 -> refused(me, holder); done = 1
  :: else
  fi;

  do
  :: done -> break
#ifdef DECIDED_FROM_READ
  /* What the read said is written, whatever the row is by now. */
  :: atomic { !done -> begun(highestToken + 1); done = 1 }
#else
  :: !done && !free ->
     /* Locks the row, if there is one, and reads what was committed last: findInstances with LOCK. */
     d_step { done = 0; decideLocked(terminates); skip };
     free = 1                                                /* if it is not done, there was none */
  :: !done && free ->
     /* The insert takes its snapshot, */
     floorSeen = floor;
     /* waits for whoever has inserted the same ID, and is decided by the unique key: WRITE_INSTANCES. */
     if
     :: d_step { inserting == 0 && status == ABSENT -> inserting = me; insertedToken = floorSeen + 1 };
        /* The next statement's snapshot has the floor of every purge of this ID: WRITE_FIRST_STEPS. */
#ifndef TOKEN_DRAWN_ONCE
        d_step { insertedToken = (insertedToken <= floor -> floor + 1 : insertedToken) };
#endif
        d_step { begun(insertedToken); inserting = 0; insertedToken = 0; done = 1 }
#ifdef NO_UNIQUE_KEY
     :: d_step { status != ABSENT -> begun(highestToken + 1); done = 1 }
#else
     :: d_step { inserting == 0 && status != ABSENT -> free = 0 } /* lost: there is a row to lock */
#endif
     fi
#endif
  od;
  atomic { liveDuring[me] = 0; floorSeen = 0; holder = 0; free = 0; done = 0 }
}

/* Turns end runs; purges delete ended ones, and lift the floor in the same statement. Each is one transaction. */
proctype others() {
end_:
  do
  :: d_step { status == LIVE -> end() }
#ifdef PURGE_OF_LIVE
  :: d_step { status != ABSENT && purges < PURGES ->         /* decided from a read that is over */
#else
  :: d_step { status == ENDED && purges < PURGES ->
#endif
       purges++;
#ifndef FLOOR_FORGOTTEN
       floor = (token > floor -> token : floor);
#endif
       status = ABSENT; token = 0; execution = 0 }
  od
}

init {
  atomic {
    for (i : 1 .. STARTERS) { run starter(i, i == 1) };
    run others()
  }
}
