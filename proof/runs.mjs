// What `npm run model` runs. Each line is one search of a model's whole state space.

/** What is left out has the model's own default. */
const BOUNDS = {
  whole: {},
  /** Two workers, two starts (replace or recreate), an event, continue-as-new, a turn of its own, a purge. */
  small: { RESULTS: 0, REWINDS: 0, TERMINATES: 0, LOCALS: 1 },
  /** small, where no answer to a commit is lost. */
  prompt: { RESULTS: 0, REWINDS: 0, TERMINATES: 0, LOCALS: 1, ANSWERS_ARRIVE: true },
  /** An answer that crosses the receiver's steps, in place of the event. */
  answers: { EVENTS: 0, REWINDS: 0, TERMINATES: 0, LOCALS: 1 },
  /** small, and a rewind. */
  rewind: { RESULTS: 0, TERMINATES: 0, LOCALS: 1 },
  /** small without continue-as-new; a terminate of its own, two turns of its own. */
  terminate: { RESULTS: 0, REWINDS: 0, NEXTS: 0, LOCALS: 2 },
  /** A timer, which a slow worker may hand over late; nothing else but starts, continue-as-new, rewind and purge. */
  timer: { RESULTS: 0, TERMINATES: 0, EVENTS: 0, LOCALS: 0, TIMERS: 1 },
  /** Three workers. */
  workers: { WORKERS: 3, RESULTS: 0, REWINDS: 0, TERMINATES: 0, NEXTS: 0, EVENTS: 0, LOCALS: 1, PURGES: 1 },
  /** One worker to whom messages come late, out of order, and twice. */
  late: {
    WORKERS: 1,
    STARTS: 1,
    EVENTS: 2,
    REWINDS: 0,
    PURGES: 0,
    TERMINATES: 0,
    LOCALS: 1,
    REPEATS: 1,
    LATE: true,
  },
};

/**
 * Each line is a search: the model and its bounds; the mutants that are taken out together, none of them for what is
 * ours; what must come of it; and why.
 */
const TABLE = [
  ["commit small", "", "passes", "ours"],
  ["commit answers", "", "passes", "ours"],
  ["commit rewind", "", "passes", "ours"],
  ["commit terminate", "", "passes", "ours"],
  ["commit workers", "", "passes", "ours"],
  ["commit timer", "", "passes", "ours"],
  ["commit late", "", "passes", "ours"],
  ["mail whole", "", "passes", "ours"],
  ["start whole", "", "passes", "ours"],

  // The guard of a commit.
  ["commit prompt", "NO_SEQUENCE", "fails", "a turn of its own on the state before"],
  ["commit small", "NO_GENERATION", "fails", "sequences begin again in each generation"],
  ["commit small", "NO_IID", "fails", "after a purge, generation and sequence begin again"],
  ["commit small", "NO_MAIL", "fails", "an event that came as the run ended is lost"],
  ["commit late", "NO_MESSAGES", "fails", "a message that came twice is taken in twice"],
  ["commit small", "NO_MESSAGES", "passes", "masked by sequence, while no message comes twice"],
  ["commit prompt", "NO_MESSAGES NO_SEQUENCE", "fails", "nothing is left that compares"],
  ["commit timer", "NO_TIMERS", "fails", "a read of due timers that is answered late fires it again"],
  ["commit timer", "NO_SEQUENCE", "passes", "masked: each turn takes in a message or the timer"],
  ["commit timer", "NO_TIMERS NO_SEQUENCE", "fails", "a turn that only fires a timer has no other guard"],
  ["commit timer", "FIRED_TIMER_STAYS", "fails", "what the guard reads stays"],
  ["commit terminate", "NO_STATUS", "passes", "masked by sequence: every end raises it"],
  ["commit terminate", "END_KEEPS_SEQUENCE", "passes", "masked by status"],
  ["commit terminate", "NO_STATUS END_KEEPS_SEQUENCE", "fails", "an ended run goes on"],
  ["commit prompt", "NO_GENERATION NO_SEQUENCE", "fails", "both forget the state"],
  [
    "commit prompt",
    "LEASE_IS_GUARD NO_GENERATION NO_SEQUENCE",
    "fails",
    "a stalled worker holds the lease again, or still",
  ],
  [
    "commit prompt",
    "NO_GENERATION NO_SEQUENCE NO_STATUS NO_IID",
    "fails",
    "no guard but a lease by the worker's own clock",
  ],
  ["commit small", "NO_COMMIT_NUMBER", "fails", "another commit of the same process is taken for this one"],
  ["commit small", "REPAIR", "fails", "a refused turn is made to fit the row"],

  // What a new run, generation or purge must do.
  ["commit small", "GENERATION_RESET", "fails", "a stalled turn fits the next run"],
  ["commit small", "TOKEN_RESET", "fails", "the next run draws a token that was used"],
  ["commit small", "FLOOR_FORGOTTEN", "fails", "after a purge, a token that was used"],
  ["commit small", "TWO_TRANSACTIONS", "fails", "between the two, the ID has no run"],
  ["commit small", "MAIL_LEFT", "fails", "an event of the former run is left for the next"],
  ["commit answers", "RESULT_NO_GENERATION", "fails", "an answer to the former generation is taken in"],
  ["commit late", "NO_GAP_CHECK", "fails", "mail that has not come is not missed"],
  ["commit late", "START_COUNTS_AS_MAIL", "fails", "a start that overtakes an event hides it"],

  // The snapshot of an end is older than the lock.
  ["mail whole", "NO_MAIL", "fails", "an end that has not seen an event"],
  ["mail whole", "EVENT_RAISES_NO_MAIL", "fails", "mail that is not counted is not missed"],
  ["mail whole", "WAITER_RAISES_NO_MAIL", "passes", "masked: whoever is left waiting is answered later"],
  ["mail whole", "WAITERS_LEFT_AT_START", "passes", "masked: the sweep answers them, later"],
  ["mail whole", "WAITERS_LEFT_AT_START WAITERS_NOT_SWEPT", "fails", "who waited is never told"],
  ["mail whole", "LEFT_MAIL_STAYS", "fails", "an event reaches the next run, or is lost"],

  // Starts against each other.
  ["start whole", "TOKEN_DRAWN_ONCE", "fails", "a purge lifted the floor after the snapshot"],
  ["start whole", "FLOOR_FORGOTTEN", "fails", "the purge leaves no floor"],
  ["start whole", "NO_UNIQUE_KEY", "fails", "two rows of one ID"],
  ["start whole", "DECIDED_FROM_READ", "fails", "what was read is over when it is written"],
  ["start whole", "PURGE_OF_LIVE", "fails", "a live run is purged"],
];

/** @type {readonly { model: string, bounds: string, defines: object, mutants: string[], expect: string, why: string }[]} */
export const RUNS = TABLE.map(([search, mutants, expect, why]) => {
  const [model, bounds] = search.split(" ");
  return { model, bounds, defines: BOUNDS[bounds], mutants: mutants.split(" ").filter(Boolean), expect, why };
});
