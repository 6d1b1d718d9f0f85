// What `npm run model` runs. Each line is one search of a model's whole state space.

/** Bounds of commit.pml; what is left out has the model's own default. */
const BOUNDS = {
  /** Two workers, two starts (replace or recreate), an event, continue-as-new, a timer, a purge. */
  small: { RESULTS: 0, REWINDS: 0, TERMINATES: 0, TIMERS: 1 },
  /** small, where no answer to a commit is lost. */
  prompt: { RESULTS: 0, REWINDS: 0, TERMINATES: 0, TIMERS: 1, ANSWERS_ARRIVE: true },
  /** An answer that crosses the receiver's steps, in place of the event. */
  answers: { EVENTS: 0, REWINDS: 0, TERMINATES: 0, TIMERS: 1 },
  /** The same with a rewind in place of the answer. */
  rewind: { RESULTS: 0, TERMINATES: 0, TIMERS: 1 },
  /** A terminate of its own, two timers, no continue-as-new. */
  terminate: { RESULTS: 0, REWINDS: 0, NEXTS: 0, TIMERS: 2 },
  /** Three workers. */
  workers: { WORKERS: 3, RESULTS: 0, REWINDS: 0, TERMINATES: 0, NEXTS: 0, EVENTS: 0, TIMERS: 1, PURGES: 1 },
  /** One worker to whom messages come late, out of order, and twice. */
  late: {
    WORKERS: 1,
    STARTS: 1,
    EVENTS: 2,
    REWINDS: 0,
    PURGES: 0,
    TERMINATES: 0,
    TIMERS: 1,
    REPEATS: 1,
    LATE: true,
  },
};

const commit = (bounds, ...mutants) => ({ model: "commit", bounds, defines: BOUNDS[bounds], mutants });
const mail = (...mutants) => ({ model: "mail", bounds: "whole", defines: {}, mutants });
const start = (...mutants) => ({ model: "start", bounds: "whole", defines: {}, mutants });

const passes = (why, run) => ({ ...run, expect: "passes", why });
const fails = (why, run) => ({ ...run, expect: "fails", why });

/** @type {readonly { model: string, bounds: string, defines: object, mutants: string[], expect: string, why: string }[]} */
export const RUNS = [
  passes("ours", commit("small")),
  passes("ours", commit("answers")),
  passes("ours", commit("rewind")),
  passes("ours", commit("terminate")),
  passes("ours", commit("workers")),
  passes("ours", commit("late")),
  passes("ours", mail()),
  passes("ours", start()),

  // The guard of a commit.
  fails("a timer's turn on the state before", commit("prompt", "NO_SEQUENCE")),
  fails("sequences begin again in each generation", commit("small", "NO_GENERATION")),
  fails("after a purge, generation and sequence begin again", commit("small", "NO_IID")),
  fails("an event that came as the run ended is lost", commit("small", "NO_MAIL")),
  fails("a message that came twice is taken in twice", commit("late", "NO_MESSAGES")),
  passes("masked by sequence, while no message comes twice", commit("small", "NO_MESSAGES")),
  fails("nothing is left that compares", commit("prompt", "NO_MESSAGES", "NO_SEQUENCE")),
  passes("masked by sequence: every end raises it", commit("terminate", "NO_STATUS")),
  passes("masked by status", commit("terminate", "END_KEEPS_SEQUENCE")),
  fails("an ended run goes on", commit("terminate", "NO_STATUS", "END_KEEPS_SEQUENCE")),
  fails("both forget the state", commit("prompt", "NO_GENERATION", "NO_SEQUENCE")),
  fails(
    "a stalled worker holds the lease again, or still",
    commit("prompt", "LEASE_IS_GUARD", "NO_GENERATION", "NO_SEQUENCE"),
  ),
  fails(
    "no guard but a lease by the worker's own clock",
    commit("prompt", "NO_GENERATION", "NO_SEQUENCE", "NO_STATUS", "NO_IID"),
  ),
  fails("another commit of the same process is taken for this one", commit("small", "NO_COMMIT_NUMBER")),
  fails("a refused turn is made to fit the row", commit("small", "REPAIR")),

  // What a new run, generation or purge must do.
  fails("a stalled turn fits the next run", commit("small", "GENERATION_RESET")),
  fails("the next run draws a token that was used", commit("small", "TOKEN_RESET")),
  fails("after a purge, a token that was used", commit("small", "FLOOR_FORGOTTEN")),
  fails("between the two, the ID has no run", commit("small", "TWO_TRANSACTIONS")),
  fails("an event of the former run is left for the next", commit("small", "MAIL_LEFT")),
  fails("an answer to the former generation is taken in", commit("answers", "RESULT_NO_GENERATION")),
  fails("mail that has not come is not missed", commit("late", "NO_GAP_CHECK")),
  fails("a start that overtakes an event hides it", commit("late", "START_COUNTS_AS_MAIL")),

  // The snapshot of an end is older than the lock.
  fails("an end that has not seen an event", mail("NO_MAIL")),
  fails("mail that is not counted is not missed", mail("EVENT_RAISES_NO_MAIL")),
  passes("masked: whoever is left waiting is answered later", mail("WAITER_RAISES_NO_MAIL")),
  passes("masked: the sweep answers them, later", mail("WAITERS_LEFT_AT_START")),
  fails("who waited is never told", mail("WAITERS_LEFT_AT_START", "WAITERS_NOT_SWEPT")),
  fails("an event reaches the next run, or is lost", mail("LEFT_MAIL_STAYS")),

  // Starts against each other.
  fails("a purge lifted the floor after the snapshot", start("TOKEN_DRAWN_ONCE")),
  fails("the purge leaves no floor", start("FLOOR_FORGOTTEN")),
  fails("two rows of one ID", start("NO_UNIQUE_KEY")),
  fails("what was read is over when it is written", start("DECIDED_FROM_READ")),
  fails("a live run is purged", start("PURGE_OF_LIVE")),
];
