import { edit, type Mutant, without } from "./mutant.js";

const HUB = "stores/memory/hub.ts";
const MEMORY_TASKS = "stores/memory/tasks.ts";
const MEMORY_LEASES = "stores/memory/leases.ts";
const TURNS = "stores/sqlite/turns.ts";
const COMMANDS = "stores/sqlite/commands.ts";
const BEGIN_RUN = "stores/sqlite/begin-run.ts";
const END_RUN = "stores/sqlite/end-run.ts";
const NEW_GENERATION = "stores/sqlite/continue-as-new.ts";
const PURGE = "stores/sqlite/purge.ts";
const REWIND = "stores/sqlite/rewind.ts";
const MESSAGES = "stores/sqlite/messages.ts";
const COMMAND = "core/command.ts";
const START_POLICY = "core/start-policy.ts";
const TURN = "core/turn.ts";
const DISPATCHER = "worker/dispatcher.ts";
const RESIDENT = "worker/resident.ts";
const MAILBOX = "worker/mailbox.ts";
const TIMER_LOOP = "worker/timer-loop.ts";

// Each guard is taken out of the memory store and of SQLite's statement alike, so that no store saves the other.

const noGeneration = [
  without(HUB, "if (instance.generation !== turn.generation) return false;"),
  edit(TURNS, "hub = ? and generation = ? and", "hub = ? and ? is not null and"),
];
const noSequence = [
  without(HUB, "if (instance.sequence !== turn.sequence) return false;"),
  edit(TURNS, "and sequence = ? and status", "and ? is not null and status"),
];
const noLive = [
  edit(
    HUB,
    "const { instance, mail } = row;\n  if (!isLive(instance.status)) return false;",
    "const { instance, mail } = row;",
  ),
  edit(TURNS, " and status < 2\n      ${ends", "\n      ${ends"),
];
const noConsumed = [
  edit(HUB, "return turn.consumed.every((n) => mail.has(n));", "return mail !== undefined;"),
  edit(TURNS, "consumes: Math.min(consumed.length, 2),", "consumes: 0,"),
  without(
    TURNS,
    "  if (consumed.length === 1 && first !== undefined) values.push(first);\n  else if (consumed.length > 1) values.push(JSON.stringify(consumed), consumed.length);\n",
  ),
];
const noTimersFired = [
  without(HUB, "if (turn.timersFired?.every((task) => row.timers.has(task)) === false) return false;"),
  edit(TURNS, "fires: timersFired.length > 0,", "fires: false,"),
  without(TURNS, "if (timersFired.length > 0) values.push(JSON.stringify(timersFired), timersFired.length);"),
];
const noMail = [
  without(
    HUB,
    "if (turn.end !== undefined && turn.mail !== ANY_MAIL && instance.mail !== turn.mail) return false;",
  ),
  edit(TURNS, "and ? in (mail, ${ANY_MAIL})", "and ? is not null"),
];
const noUpsertCondition = [
  edit(
    HUB,
    "before !== undefined && !begin.over.some((status) => status === before.status)",
    "before === null",
  ),
  edit(BEGIN_RUN, "where (1 << inst.status) & ? <> 0", "where ? is not null"),
];
const noPurgeCheckInStores = [
  without(HUB, 'if (isLive(status)) throw new EngineFaultError("a live instance cannot be purged");'),
  without(PURGE, 'if (isLive(status)) throw new EngineFaultError("a live instance cannot be purged");'),
];
const noPurgeCheckInCore = [
  edit(
    COMMAND,
    'if (isLive(found.instance.status)) {\n    return {\n      answer: { outcome: "invalidState", runtimeStatus, needs',
    'if (found === null) {\n    return {\n      answer: { outcome: "invalidState", runtimeStatus, needs',
  ),
];
/** As if somebody had begun the run since the row was read. */
const decidedFromOldRead = [
  edit(
    HUB,
    "const found = row && { instance: row.instance,",
    "const found = row && !(command.kind === 'start' && isLive(row.instance.status)) && { instance: row.instance,",
  ),
  edit(HUB, "decide(command, found, this", "decide(command, found || undefined, this"),
  edit(
    COMMANDS,
    "const found = find(connection, hub, command.instanceId);",
    `const read = find(connection, hub, command.instanceId);
     const found = command.kind === "start" && ["Pending", "Running"].includes(read?.instance.status) ? undefined : read;`,
  ),
];
const noSequenceAtTerminate = [
  edit(
    HUB,
    "this.#change(row, { sequence, updatedAtMs: atMs });",
    "this.#change(row, { updatedAtMs: atMs });",
  ),
  edit(END_RUN, "set status = ?, sequence = sequence + 1, activities", "set status = ?, activities"),
];
const noGenerationOfAnswers = [
  without(HUB, "if (waiting.instance.generation !== to.generation) return;"),
  edit(
    HUB,
    "{ iid: to.iid, generation: to.generation, task: to.task, events }",
    "{ iid: to.iid, generation: waiting.instance.generation, task: to.task, events }",
  ),
  edit(MESSAGES, "and generation = ? and status < 2", "and ? is not null and status < 2"),
];
const noGenerationOfMail = [
  without(
    RESIDENT,
    "if (mail.generation !== undefined && mail.generation < this.instance.generation) return;",
  ),
];
const noRunOfMail = [
  without(RESIDENT, "if (mail.run !== undefined && mail.run < this.instance.run) return;"),
];
const resultsOfAny = [
  edit(
    DISPATCHER,
    "if (!resident.isAt(instance.generation)) return;\n      resident.inbox.push({ events: [event] });",
    "resident.inbox.push({ events: [event] });",
  ),
];
/** The numbers of tasks are the same in each generation. */
const abortedTells = [
  edit(
    "worker/activity-runner.ts",
    "if (this.#remove(call)) call.done(call.instance, call.activity, outcome);",
    "this.#remove(call);\n    call.done(call.instance, call.activity, outcome);",
  ),
];
const noProofOfMemory = [
  edit(
    "replay/local-executor.ts",
    "if (sticky?.generation !== instance.generation || sticky.nextSequence !== instance.sequence)\n      return undefined;\n    return sticky.run;",
    "return sticky?.run;",
  ),
];
const runsNotForgotten = [
  without(DISPATCHER, "this.#parts.executor.forget(iid);\n    if (this.#residents.get(iid) === resident) "),
  edit(
    DISPATCHER,
    "this.#residents.delete(iid);\n    for (const timer",
    "if (this.#residents.get(iid) === resident) this.#residents.delete(iid);\n    for (const timer",
  ),
];
const memoryKept = [
  without(
    DISPATCHER,
    "handover?.results(resident.instance, resident.openActivities, resident.inbox);\n      this.#drop(resident);",
  ),
  edit(DISPATCHER, 'resident.lost = handover === undefined ? "gone" : "handedOver";\n', ""),
];
const doubleDelivery = [
  edit("worker/message-cursor.ts", "if (this.#recent.has(n) || this.#waiting.has(n)) return false;", ""),
];
const noRepeats = [
  edit(RESIDENT, "this.inbox.length > 1 ? withoutRepeats(this.inbox) : this.inbox", "this.inbox"),
];
const trustForEver = [
  edit(
    "worker/shard-keeper.ts",
    "return this.#parts.env.monotonicMs() < this.#trustedUntilMs;",
    "return this.#trustedUntilMs !== 0;",
  ),
];
const noReadOfTaken = [edit(MAILBOX, "else await this.#readTaken(receivers);", "else this.#taken.clear();")];
const noSweep = [edit(MAILBOX, "beganMs - this.#sweptMs >= SWEEP_MS", "beganMs < this.#sweptMs")];

const resultsOfAnyGeneration = [
  edit(
    HUB,
    "!isLive(row.instance.status) || row.instance.generation !== generation)",
    "!isLive(row.instance.status))",
  ),
  edit(
    HUB,
    "this.#addMail(row, { iid, generation, events });\n    return true",
    "this.#addMail(row, { iid, generation: row.instance.generation, events });\n    return true",
  ),
];
const tasksKept = [edit(HUB, "this.tasks.drop(row.instance.iid);\n    // Results", "// Results")];

const lateResults = [
  edit(
    TURN,
    "if (!state.openActivities.has(task) || answered.has(task)) return false;",
    "if (answered.has(task)) return false;",
  ),
];
const resultsTwice = [
  edit(
    TURN,
    "if (!state.openActivities.has(task) || answered.has(task)) return false;",
    "if (!state.openActivities.has(task)) return false;",
  ),
];
const oldResultsKept = [
  without(
    HUB,
    "for (const mail of row.mail.values()) if (mail.run === undefined) this.#deleteMail(row, mail.n);",
  ),
  edit(NEW_GENERATION, "where iid = ? and run is null", "where iid = ? and n < 0"),
];

const rowIdsUsedAgain = [
  edit("stores/sqlite/schema.ts", "iid integer primary key autoincrement,", "iid integer primary key,"),
];

const LEASES_ONLY_SAVE_WORK =
  "two owners of a shard, or one whose lease has ended, do no harm: the guards refuse the second";

export const MUTANTS: readonly Mutant[] = [
  // --- the guard of a commit ----------------------------------------------------------------------------------------
  {
    name: "commit without generation",
    guard: "A worker that slept through a continue-as-new or a restart does not write into what came after.",
    edits: noGeneration,
  },
  {
    name: "commit without sequence",
    guard: "Of two owners that run the same turn, one wins.",
    edits: noSequence,
  },
  {
    name: "commit without live status",
    guard: "Nothing is written after the end of a run.",
    edits: noLive,
    maskedBy: ["terminate without sequence"],
    unseenBySimulation: "every end raises the sequence, too",
  },
  {
    name: "commit by the instance's ID",
    guard: "What was made of a row that was purged since does not fit the row that its ID has now.",
    edits: [
      edit(
        HUB,
        "const row = this.#rows.get(turn.iid);",
        "const row = this.#byInstanceId.get(turn.instanceId);",
      ),
    ],
    unseenBySimulation: "the generation and the sequence are compared, and the messages and timers are gone",
  },
  {
    name: "row IDs used again",
    guard: "Nothing that was for a purged instance fits the row that comes after it.",
    edits: [
      edit(
        HUB,
        "iid: before?.iid ?? ++this.#counters.iid,",
        "iid: before?.iid ?? Math.max(0, ...this.#rows.keys()) + 1,",
      ),
      ...rowIdsUsedAgain,
    ],
    unseenBySimulation:
      "a run that is over is in nobody's memory for as long as a purge and a start of another ID take",
  },
  {
    name: "commit without consumed messages",
    guard: "A message is taken in once, and not after its run has ended.",
    edits: noConsumed,
  },
  {
    name: "commit that takes all mail",
    guard: "A turn deletes what it has taken in, by number, and nothing else.",
    edits: [
      edit(
        HUB,
        "for (const n of turn.consumed) this.#deleteMail(row, n);",
        "if (turn.consumed.length > 0) for (const n of row.mail.keys()) this.#deleteMail(row, n);",
      ),
      edit(
        TURNS,
        'connection.sql("delete from message where n = ?").run(first);',
        'connection.sql("delete from message where iid = (select iid from message where n = ?)").run(first);',
      ),
      edit(
        TURNS,
        '"delete from message where n in (select value from json_each(?))"',
        '"delete from message where iid in (select iid from message where n in (select value from json_each(?)))"',
      ),
    ],
  },
  {
    name: "commit without fired timers",
    guard: "A timer fires once.",
    edits: noTimersFired,
  },
  {
    name: "fired timer that stays",
    guard: "What the guard looks for is gone once it was taken in.",
    edits: [
      without(HUB, "for (const task of turn.timersFired ?? []) row.timers.delete(task);"),
      edit(TURNS, "[...(turn.timersFired ?? []), ...turn.timersCleared]", "turn.timersCleared"),
    ],
  },
  {
    name: "end without mail",
    guard: "An event that was accepted before the end is taken in.",
    edits: noMail,
  },
  {
    name: "mail that is missing not missed",
    guard: "Mail is numbered without gaps: a worker that has seen the second only reads its instance again.",
    edits: [
      without(RESIDENT, "if (mail.mail > this.#mailReceived + (isCounted ? 1 : 0)) this.stale = true;"),
    ],
    unseenBySimulation:
      "its stores number messages in the order of their commits: one is missing only where another worker has taken it in",
    test: "src/worker/resident.test.ts",
  },
  {
    name: "start that counts as mail",
    guard: "A generation's first mail has the number of the mail before it, and hides none.",
    edits: [
      edit(
        RESIDENT,
        "if (mail.mail > this.#mailReceived + (isCounted ? 1 : 0)) this.stale = true;",
        "if (mail.mail > this.#mailReceived + 1) this.stale = true;",
      ),
    ],
    unseenBySimulation:
      "its stores number messages in the order of their commits: one is missing only where another worker has taken it in",
    test: "src/worker/resident.test.ts",
  },
  // --- commits that come twice --------------------------------------------------------------------------------------
  {
    name: "recommit without writer",
    guard: "Another worker's commit with the same number is not taken for this one.",
    edits: [
      edit(HUB, "instance.worker === turn.writer && lastCommitNumber === ", "lastCommitNumber === "),
      edit(HUB, "written?.writer === turn.writer && written.commitNumber", "written?.commitNumber"),
      edit(TURNS, "(i.writer = ? and i.commit_number", "(? is not null and i.commit_number"),
      edit(TURNS, "and h.writer = ? and h.commit_number", "and ? is not null and h.commit_number"),
    ],
  },
  {
    name: "recommit without number",
    guard: "Another commit of the same worker is not taken for this one.",
    edits: [
      edit(HUB, "turn.writer && lastCommitNumber === turn.commitNumber)", "turn.writer)"),
      edit(HUB, "turn.writer && written.commitNumber === turn.commitNumber;", "turn.writer;"),
      edit(TURNS, "i.commit_number = ? and (", "? is not null and ("),
      edit(TURNS, "h.writer = ? and h.commit_number = ?", "h.writer = ? and ? is not null"),
    ],
  },
  {
    name: "recommit never recognised",
    guard: "A commit whose answer was lost is told that it was accepted.",
    edits: [
      edit(HUB, "wasCommitted(row, turn) ? tokenAfter", "turn.iid < 0 ? tokenAfter"),
      edit(TURNS, "return tokenIfCommitted(transaction, turn, writer);", "return REFUSED;"),
    ],
  },
  {
    name: "recommit told the token of a later run",
    guard: "A token says which run of the ID it belongs to.",
    edits: [
      edit(
        HUB,
        "if (instance.generation === reached && isLast) return",
        "if (instance.generation >= reached) return",
      ),
      edit(
        TURNS,
        "case when i.generation = ? and i.writer = ? and i.commit_number = ? then",
        "case when i.generation >= ? and ? + ? > 0 then",
      ),
    ],
  },
  {
    name: "recommit told the token that another owner has drawn since",
    guard: "Who was taken over must not run activities under its successor's token.",
    edits: [
      edit(
        HUB,
        "if (instance.generation === reached && isLast) return",
        "if (instance.generation === reached) return",
      ),
      edit(
        TURNS,
        "case when i.generation = ? and i.writer = ? and i.commit_number = ? then",
        "case when i.generation = ? and ? + ? > 0 then",
      ),
    ],
  },
  {
    name: "task offered beside its turn, claimed without a new token",
    guard: "Its owner, or whoever owned it before, may be running it.",
    edits: [edit(MEMORY_TASKS, "begun: !withTurn,", "begun: holder !== undefined,")],
    unseenBySimulation:
      "every process there runs every activity: what is offered without a holder was begun by nobody",
  },
  // --- mail ---------------------------------------------------------------------------------------------------------
  {
    name: "raise that does not raise mail",
    guard: "The turn that ends a run is refused when an event has come that it has not seen.",
    edits: [
      edit(HUB, "const mail = row.instance.mail + 1;", "const { mail } = row.instance;"),
      edit(COMMANDS, "const mail = raiseMail(transaction, instance);", "const { mail } = instance;"),
    ],
  },
  {
    name: "wait that does not raise mail",
    guard: "A waiter that was accepted is answered.",
    edits: [
      without(HUB, "this.#change(row, { mail: row.instance.mail + 1 });"),
      edit(COMMANDS, "raiseMail(transaction, instance);\n  transaction", "transaction"),
    ],
  },
  {
    name: "refused child that does not answer its parent",
    guard: "Whoever called a child whose ID is held hears of it.",
    edits: [
      without(
        COMMAND,
        "change: { answer: { to: command.parent, events: childRefused(command, answer.reason, holder) } },",
      ),
    ],
  },
  {
    name: "command for an ended run carried out",
    guard: "Nothing is accepted for a run that has ended: the decision.",
    edits: [
      without(
        COMMAND,
        'if (!isLive(instance.status)) return { answer: { outcome: "ended", runtimeStatus: instance.status } };',
      ),
    ],
  },
  {
    name: "end written over any state",
    guard: "The same, in the stores, for what ends a run from outside.",
    edits: [
      without(
        HUB,
        'if (!isLive(row.instance.status)) throw new EngineFaultError("only a live run can be ended");',
      ),
      edit(
        END_RUN,
        "where iid = ? and hub = ? and generation = ? and sequence = ? and status < 2`",
        "where iid = ? and hub = ? and ? + ? > 0`",
      ),
    ],
    maskedBy: ["command for an ended run carried out"],
    unseenBySimulation: "core decides it under the same lock",
    unseenByConformance: "core decides it under the same lock",
  },
  {
    name: "request kept after its command",
    guard: "What an instance asks of another ID happens once.",
    edits: [
      without(HUB, "if (command.consumes !== undefined) this.#deleteMessage(command.consumes);"),
      edit(
        COMMANDS,
        "delete from message where n = ? and hub = ? and target is not null",
        "update message set n = n where n = ? and hub = ? and target is not null",
      ),
    ],
  },
  {
    name: "request carried out though it is gone",
    guard: "A request that two workers have read is carried out by one.",
    edits: [
      edit(
        HUB,
        'this.#messages.get(command.consumes)?.kind !== "request"',
        'this.#messages.get(command.consumes)?.kind === "mail"',
      ),
      edit(
        COMMANDS,
        "!deleteRequest(transaction, command.consumes)",
        "deleteRequest(transaction, command.consumes) === undefined",
      ),
    ],
  },
  {
    name: "result for another generation",
    guard: "Nothing that was asked by one execution answers the next.",
    edits: noGenerationOfAnswers,
  },
  {
    name: "mail of an ended run kept",
    guard: "Nothing that was sent to a run reaches the next.",
    edits: [
      edit(
        HUB,
        "droppedMessages: this.#dropMail(row),",
        "droppedMessages: [...row.mail.values()].filter(({ run }) => run !== undefined).length,",
      ),
      edit(
        END_RUN,
        "delete from message where iid = ? returning run is not null as accepted",
        "select run is not null as accepted from message where iid = ?",
      ),
    ],
  },
  {
    name: "mail of an ended run dropped without a record",
    guard: "An accepted event is taken in, or its loss is recorded.",
    edits: [
      edit(HUB, "droppedMessages: this.#dropMail(row),", "droppedMessages: this.#dropMail(row) * 0,"),
      edit(END_RUN, "returning run is not null as accepted", "returning 0 as accepted"),
    ],
  },
  // --- continue-as-new ----------------------------------------------------------------------------------------------
  {
    name: "continue-as-new that drops events",
    guard: "Events are for the run, and go on with it.",
    edits: [
      edit(
        HUB,
        "if (mail.run === undefined) this.#deleteMail(row, mail.n);",
        "this.#deleteMail(row, mail.n);",
      ),
      edit(NEW_GENERATION, "where iid = ? and run is null", "where iid = ?"),
    ],
  },
  {
    name: "continue-as-new that keeps old results",
    guard: "Results are for one generation.",
    edits: oldResultsKept,
  },
  {
    name: "continue-as-new that keeps timers",
    guard: "Timers are for one generation.",
    edits: [
      edit(
        HUB,
        'changeExecution(row, { status: "ContinuedAsNew", endedAtMs: atMs });\n    row.timers.clear();',
        'changeExecution(row, { status: "ContinuedAsNew", endedAtMs: atMs });',
      ),
      without(NEW_GENERATION, 'connection.sql("delete from timer where iid = ?").run(iid);'),
    ],
  },
  {
    name: "continue-as-new that keeps tasks",
    guard: "Work that was offered for one generation is not done for the next.",
    edits: tasksKept,
    unseenBySimulation: "a task of a former generation is handed out to nobody and answers nobody",
  },
  // --- starts -------------------------------------------------------------------------------------------------------
  {
    name: "start over a live run",
    guard: "One live run per ID: the decision.",
    edits: [
      edit(
        START_POLICY,
        'case "reject":\n        return { kind: "refuse", reason: "held" };',
        'case "reject":\n        return { kind: "begin", outcome: "started" };',
      ),
    ],
  },
  {
    name: "start decided from an old read",
    guard:
      "One live run per ID: what was decided is still so when it is written. The statement's condition sees it.",
    edits: decidedFromOldRead,
  },
  {
    name: "upsert without condition",
    guard: "The same, where nothing has changed since the read.",
    edits: noUpsertCondition,
    maskedBy: ["start decided from an old read"],
    unseenBySimulation: "these stores read and write in one transaction that nobody else is in",
    unseenByConformance: "these stores read and write in one transaction that nobody else is in",
  },
  {
    name: "attach without name",
    guard: "A start attaches to a run of the same orchestrator only.",
    edits: [
      edit(
        START_POLICY,
        'return sameName ? { kind: "attach" } : { kind: "refuse", reason: "otherName" };',
        'return { kind: "attach" };',
      ),
    ],
  },
  {
    name: "ended runs restarted whatever the policy",
    guard: "What a start does over an ended run is its caller's to say.",
    edits: [
      edit(START_POLICY, "switch (policy.ifEnded[existing.status]) {", 'switch ("start") {'),
      edit(START_POLICY, 'policy.ifEnded[status] === "start"', "policy !== undefined"),
    ],
  },
  {
    name: "request ID forgotten",
    guard: "A start that is tried again does not start twice.",
    edits: [
      without(
        HUB,
        "if (change.remember !== undefined) this.#remember(command, change.remember.requestId, answer);",
      ),
      without(
        COMMANDS,
        "if (change.remember !== undefined) remember(transaction, command, change.remember.requestId, answer);",
      ),
    ],
  },
  {
    name: "request ID ignored",
    guard: "The same: the decision.",
    edits: [
      edit(
        COMMAND,
        "remembered === undefined ? start(command, found) : { answer: remembered }",
        "start(command, found)",
      ),
    ],
  },
  {
    name: "suspension kept by a new run",
    guard: "A run begins as nobody has touched it.",
    edits: [
      edit(
        HUB,
        "suspended: false,\n      mail: before?.mail",
        "suspended: before?.suspended ?? false,\n      mail: before?.mail",
      ),
      edit(
        BEGIN_RUN,
        "status = 0, suspended = 0, activities = 0, writer",
        "status = 0, activities = 0, writer",
      ),
    ],
  },
  // --- purge and tokens ---------------------------------------------------------------------------------------------
  {
    name: "purge of a live run decided",
    guard: "A live run is not purged: the decision. The stores see it.",
    edits: noPurgeCheckInCore,
  },
  {
    name: "purge of a live run written",
    guard: "The same, in the stores.",
    edits: noPurgeCheckInStores,
    maskedBy: ["purge of a live run decided"],
    unseenBySimulation: "core decides it under the same lock",
    unseenByConformance: "core decides it under the same lock",
  },
  {
    name: "purge that forgets the token floor",
    guard: "Tokens of an ID rise for ever.",
    edits: [
      without(
        HUB,
        "this.#tokenFloors.set(shard, Math.max(this.#tokenFloors.get(shard) ?? 0, fencingToken));",
      ),
      edit(
        PURGE,
        ".run(hub, shardOf(instanceId), fencingToken);",
        ".run(hub, shardOf(instanceId), fencingToken * 0);",
      ),
    ],
  },
  {
    name: "token not raised by a new run",
    guard: "A worker of the former run is outranked.",
    edits: [
      edit(
        HUB,
        "(before?.fencingToken ?? this.#tokenFloors.get(shardOf(instanceId)) ?? 0) + 1",
        "before?.fencingToken ?? (this.#tokenFloors.get(shardOf(instanceId)) ?? 0) + 1",
      ),
      edit(BEGIN_RUN, "token = inst.token + 1", "token = inst.token"),
    ],
  },
  {
    name: "generation begun anew by each run",
    guard: "The numbers of a former run do not fit the next.",
    edits: [
      edit(
        HUB,
        "generation: (before?.generation ?? 0) + 1,\n      sequence: 0",
        "generation: 1,\n      sequence: 0",
      ),
      edit(BEGIN_RUN, "generation = inst.generation + 1, sequence = 0", "generation = 1, sequence = 0"),
    ],
  },
  {
    name: "token not raised by continue-as-new",
    guard: "A worker of the former generation is outranked.",
    edits: [
      edit(
        HUB,
        "const fencingToken = row.instance.fencingToken + 1;\n    this.#change",
        "const { fencingToken } = row.instance;\n    this.#change",
      ),
      edit(
        TURNS,
        "(turn.raiseToken === true ? 1 : 0) + (next === undefined ? 0 : 1)",
        "turn.raiseToken === true ? 1 : 0",
      ),
    ],
  },
  {
    name: "token not raised by rewind",
    guard: "A worker of the failed execution is outranked.",
    edits: [
      edit(
        HUB,
        "const fencingToken = row.instance.fencingToken + 1;\n    const { parked",
        "const { fencingToken } = row.instance;\n    const { parked",
      ),
      edit(REWIND, "token = token + 1", "token = token"),
    ],
  },
  {
    name: "token not raised on demand",
    guard: "Whoever runs again what another had begun outranks him: the stores.",
    edits: [
      edit(HUB, "(turn.raiseToken === true ? 1 : 0),\n      status", "0,\n      status"),
      edit(TURNS, "(turn.raiseToken === true ? 1 : 0) + (next", "(next"),
    ],
  },
  {
    name: "adoption without a new token",
    guard: "The same: the worker.",
    edits: [
      edit(
        TURN,
        "...emptyCommit(instance, atMs, writer), raiseToken: true",
        "...emptyCommit(instance, atMs, writer)",
      ),
    ],
  },
  // --- ends ---------------------------------------------------------------------------------------------------------
  {
    name: "end that does not answer the parent",
    guard: "Whoever called a child hears of its end.",
    edits: [
      without(HUB, "if (instance.parent !== undefined) this.#answer(instance.parent, end.answer);"),
      without(END_RUN, "if (parent !== undefined) mailAnswer(transaction, parent, end.answer);"),
    ],
  },
  {
    name: "end that does not answer waiters",
    guard: "Whoever attached to a child hears of its end.",
    edits: [
      without(HUB, "for (const waiter of waiters) this.#answer(waiter, end.answer);"),
      without(END_RUN, "answerWaiters(transaction, iid, end);"),
    ],
  },
  {
    name: "end that leaves timers",
    guard: "Nothing of an ended run fires.",
    edits: [
      edit(
        HUB,
        "row.timers.clear();\n    this.tasks.drop(row.instance.iid);\n    const waiters",
        "this.tasks.drop(row.instance.iid);\n    const waiters",
      ),
      without(END_RUN, 'connection.sql("delete from timer where iid = ?").run(iid);'),
    ],
  },
  {
    name: "terminate without sequence",
    guard: "A turn that was begun before the end does not fit the row any more.",
    edits: noSequenceAtTerminate,
  },
  {
    name: "replacement that does not end the former run",
    guard: "What is replaced ends in the same transaction, and is told so.",
    edits: [
      without(COMMAND, "...(replacing ? { endRun: endByReplacement(command, found.instance) } : {}),"),
      ...noUpsertCondition,
    ],
  },
  {
    name: "replacement in two transactions",
    guard: "The run that is ended and the one that takes its place are never seen without each other.",
    edits: [
      edit(
        "client/task-hub-client.ts",
        'const answer = await this.#execute(command);\n      if (answer.outcome === "refused") throw this.#refuse(command, answer, requester);\n      return this.#handle(\n        command.instanceId,\n        startAccepted(answer),\n        isNewRun',
        `if (command.policy.ifLive === "terminate")
        await this.#execute({ kind: "terminate", instanceId: command.instanceId, atMs: command.atMs, recurse: true });
      const answer = await this.#execute(command);
      if (answer.outcome === "refused") throw this.#refuse(command, answer, requester);
      return this.#handle(
        command.instanceId,
        startAccepted(answer),
        isNewRun`,
      ),
    ],
  },
  {
    name: "starts of children not withdrawn",
    guard: "An ended run begins nothing any more.",
    edits: [
      edit(
        HUB,
        "if (sender.iid === iid && sender.run === run) this.#deleteMessage(n);",
        "if (sender.iid === -iid) this.#deleteMessage(n);",
      ),
      edit(END_RUN, "where sender_iid = ? and sender_run = ?", "where sender_iid = -? and sender_run = ?"),
    ],
  },
  {
    name: "children not ended with their parent",
    guard: "A terminate that is asked to takes the children along.",
    edits: [
      edit(
        HUB,
        "if (instance.parent?.run === run && isLive(instance.status))",
        "if (instance.parent?.run === -run)",
      ),
      edit(END_RUN, "and hub = ? and status < 2\n       order", "and hub = ? and status < 0\n       order"),
    ],
  },
  {
    name: "terminate of another's child",
    guard: "A child's ID may meanwhile be somebody else's.",
    edits: [
      edit(
        COMMAND,
        "if (parent?.iid !== child.iid || parent.run !== child.run) return",
        "if (found === undefined) return",
      ),
    ],
  },
  // --- rewind -------------------------------------------------------------------------------------------------------
  {
    name: "rewind without expected execution",
    guard: "Only the failure that was read is rewound.",
    edits: [
      edit(
        COMMAND,
        'if (instance.status !== "Failed" || instance.executionId !== command.expectedExecutionId) {',
        'if (instance.status !== "Failed") {',
      ),
      edit(
        COMMAND,
        'found?.instance.status === "Failed" && found.instance.executionId === command.expectedExecutionId;',
        'found?.instance.status === "Failed";',
      ),
    ],
  },
  {
    name: "rewind of what has not failed",
    guard: "Only a failed run is rewound.",
    edits: [
      edit(
        COMMAND,
        'if (instance.status !== "Failed" || instance.executionId !== command.expectedExecutionId) {',
        "if (instance.executionId !== command.expectedExecutionId) {",
      ),
    ],
    unseenBySimulation:
      "it is asked for only by who has read that it failed, and what comes after a failed execution has another ID",
  },
  {
    name: "rewind written over any state",
    guard: "The same, in the statement.",
    edits: [
      edit(
        REWIND,
        "where iid = ? and hub = ? and generation = ? and sequence = ? and status = ${STATUS_CODES.Failed}",
        "where iid = ? and hub = ? and ? + ? > 0",
      ),
    ],
    maskedBy: ["rewind of what has not failed"],
    unseenBySimulation: "core decides it under the same lock",
    unseenByConformance: "core decides it under the same lock",
  },
  // --- tasks and leases ---------------------------------------------------------------------------------------------
  {
    name: "task answered without being held",
    guard: "Of two that did the same work, one answers.",
    edits: [without(MEMORY_TASKS, "if (hub.tasks.heldBy(worker, result) === undefined) return false;")],
    unseenBySimulation: "the owner takes one of the results in",
  },
  {
    name: "task claimed while it is held",
    guard: "Work is done by one worker at a time.",
    edits: [
      edit(
        MEMORY_TASKS,
        "holder === undefined || (holder !== worker && !this.#lives(hub, holder));",
        "holder !== worker;",
      ),
    ],
  },
  {
    name: "task claimed without a new token",
    guard: "Whoever takes a task over outranks who had begun it.",
    edits: [without(MEMORY_TASKS, "for (const iid of outranking) hub.raiseToken(iid);")],
  },
  {
    name: "task's result for another generation",
    guard: "A late result answers nobody.",
    edits: resultsOfAnyGeneration,
    maskedBy: ["continue-as-new that keeps tasks"],
    unseenBySimulation: "the task goes with its generation",
    unseenByConformance: "the task goes with its generation",
  },
  {
    name: "shard claimed while it is owned",
    guard: "One worker at a time runs a shard's turns.",
    edits: [edit(MEMORY_LEASES, "this.#ownerOf(shard, nowMs) === undefined", "shard >= 0")],
    unseenBySimulation: LEASES_ONLY_SAVE_WORK,
  },
  {
    name: "lease trusted for ever",
    guard: "A worker that stood still lets go of its shards.",
    edits: trustForEver,
  },
  {
    name: "lease by the worker's clock",
    guard: "A clock that is set says nothing of how much time has passed.",
    edits: [
      edit("worker/shard-keeper.ts", "const sentMs = env.monotonicMs();", "const sentMs = env.now();"),
      edit(
        "worker/shard-keeper.ts",
        "const leftMs = this.#trustedUntilMs - env.monotonicMs();",
        "const leftMs = this.#trustedUntilMs - env.now();",
      ),
      edit(
        "worker/shard-keeper.ts",
        "return this.#parts.env.monotonicMs() < this.#trustedUntilMs;",
        "return this.#parts.env.now() < this.#trustedUntilMs;",
      ),
    ],
  },
  // --- turns --------------------------------------------------------------------------------------------------------
  {
    name: "turn that does not record a result",
    guard: "The history holds everything that the function saw.",
    edits: [edit(TURN, "...events];", "...events.filter(({ type }) => type !== 'TaskCompleted')];")],
  },
  {
    name: "turn that does not record an action",
    guard: "The history holds everything that the function did.",
    edits: [
      edit(
        TURN,
        "if (event !== undefined) recorded.push(event);",
        "if (event !== undefined && event.type !== 'TimerCreated') recorded.push(event);",
      ),
    ],
  },
  {
    name: "turn that does not consume its messages",
    guard: "A message is taken in once.",
    edits: [edit(TURN, "commit.consumed = input.consumed;", "commit.consumed = [];")],
  },
  {
    name: "turn that does not settle its timers",
    guard: "A timer fires once.",
    edits: [without(TURN, "if (input.firedTimers.length > 0) commit.timersFired = input.firedTimers;")],
  },
  {
    name: "turn that does not send",
    guard: "What an instance asks of others goes with its turn.",
    edits: [edit(TURN, "commit.requests = requests;", "commit.requests = [];")],
  },
  {
    name: "turn that does not set its timers",
    guard: "Timers are set with the turn that creates them.",
    edits: [edit(TURN, "&& timers.size > 0) commit", "&& timers.size > 9) commit")],
  },
  {
    name: "history that is not compared",
    guard: "Code that no longer does what its history says is parked, and not gone on with.",
    edits: [
      edit(
        "replay/orchestration-run.ts",
        "if (expected === actual) continue;",
        "if (expected !== null) continue;",
      ),
    ],
    unseenBySimulation: "the code that it runs does not change",
    test: "test/orchestration/parked.test.ts",
  },
  {
    name: "suspended run that goes on",
    guard: "What comes for a suspended run waits until it is resumed.",
    edits: [
      without(
        "replay/orchestration-run.ts",
        "if (this.#suspended) {\n      this.#held = append(this.#held, event);\n      return;\n    }",
      ),
    ],
    unseenBySimulation: "the oracle does not ask what a suspended run does",
    test: "test/orchestration/suspend.test.ts",
  },
  // --- the worker ---------------------------------------------------------------------------------------------------
  {
    name: "activities begun before their commit",
    guard: "An activity starts only after its scheduling is durable.",
    edits: [
      edit(
        DISPATCHER,
        "const result = await this.#commit(this.#endingAtLast(applied.commit));",
        "await this.#begin(resident, applied.scheduled, false);\n    const result = await this.#commit(this.#endingAtLast(applied.commit));",
      ),
    ],
  },
  {
    name: "refused commit not read again",
    guard: "Memory that the store has refused is dropped.",
    edits: [without(DISPATCHER, "this.#reload(resident, items);")],
  },
  {
    name: "refused commit made to fit",
    guard: "It was made of another state than the row's: it is dropped, and never repaired.",
    edits: [
      edit(
        DISPATCHER,
        "const result = await this.#commit(this.#endingAtLast(applied.commit));",
        `let result = await this.#commit(this.#endingAtLast(applied.commit));
    const [head] = result.accepted ? [] : await this.#persist(() => this.#parts.store.heads([applied.commit.iid]));
    if (head !== undefined)
      result = await this.#commit({ ...this.#endingAtLast(applied.commit), ...head, commitNumber: ++this.#commits });`,
      ),
    ],
  },
  {
    name: "result kept over a reload for another generation",
    guard: "What is kept over a reload is for the same generation.",
    edits: [
      edit(
        DISPATCHER,
        "if (!fresh.isAt(generation)) {\n        this.#activities.abort",
        "if (fresh.isAt(-1)) {\n        this.#activities.abort",
      ),
    ],
  },
  {
    name: "result kept over a reload that was answered",
    guard: "What is kept over a reload still answers a task.",
    edits: [
      edit(
        DISPATCHER,
        "fresh.inbox.unshift(...local.filter((item) => isOpen(fresh, item)));",
        "fresh.inbox.unshift(...local);",
      ),
    ],
    maskedBy: ["activity result of what was answered"],
    unseenBySimulation: "the turn leaves out what was answered",
  },
  {
    name: "turn before its start",
    guard: "Events that come before a run's start, as of a scheduled one, wait for it.",
    edits: [
      edit(RESIDENT, "return this.historyEvents > 0 || this.inbox.some(startsExecution);", "return true;"),
    ],
    test: "src/worker/resident.test.ts",
    unseenBySimulation: "a function that has not begun keeps what comes, and is given it at its start",
  },
  {
    name: "activity result taken in by another generation",
    guard: "A result is for the generation that asked for it.",
    edits: resultsOfAny,
  },
  {
    name: "activity result of what was answered",
    guard: "Of two runs of an activity, one result counts.",
    edits: lateResults,
  },
  {
    name: "activity result taken in twice",
    guard: "The same, where both come in one turn.",
    edits: resultsTwice,
  },
  {
    name: "late commits not followed",
    guard: "A former owner's last commit may take effect after its successor has read the instance.",
    edits: [
      edit(
        "worker/task-hub-worker.ts",
        "async (iids) =>\n        this.#dispatcher.follow(await this.#persist((store) => store.heads(iids))),",
        "async () => {},",
      ),
    ],
  },
  {
    name: "late commits not followed where memory is behind",
    guard: "The same: its successor has the instance in memory.",
    edits: [without(DISPATCHER, "if (isAhead) this.#reload(resident);")],
  },
  {
    name: "late commits not followed where nothing is in memory",
    guard: "The same: it has not.",
    edits: [
      without(DISPATCHER, "if (resident === undefined) this.#withResident(iid, (read) => this.#pump(read));"),
    ],
  },
  {
    name: "activity result of what was aborted",
    guard: "An activity that was called off tells nothing.",
    edits: abortedTells,
    maskedBy: ["activity result taken in by another generation"],
    unseenBySimulation: "the generation is compared when the result is taken in",
  },
  {
    name: "memory used without proof",
    guard: "The committed (generation, sequence) proves that a kept function is where the history is.",
    edits: noProofOfMemory,
    maskedBy: ["memory not forgotten"],
    unseenBySimulation: "the worker forgets the function whenever it drops the instance",
  },
  {
    name: "memory not forgotten",
    guard: "A function whose turn was refused is not gone on with.",
    edits: runsNotForgotten,
  },
  {
    name: "mail of a former generation taken in",
    guard: "A worker leaves out what its instance has outlived.",
    edits: noGenerationOfMail,
    maskedBy: ["commit without consumed messages"],
    unseenBySimulation: "the commit is refused, as the message is gone",
  },
  {
    name: "mail of a former run taken in",
    guard: "The same, for events.",
    edits: noRunOfMail,
    maskedBy: ["commit without consumed messages"],
    unseenBySimulation: "the commit is refused, as the message is gone",
  },
  {
    name: "message handed over twice",
    guard: "The mailbox hands each message over once.",
    edits: doubleDelivery,
    maskedBy: ["message taken in twice by one turn", "commit without consumed messages"],
    unseenBySimulation: "the commit is refused, as the message is gone",
  },
  {
    name: "message taken in twice by one turn",
    guard: "The commit's guard finds a message both times.",
    edits: noRepeats,
    maskedBy: ["message handed over twice"],
    unseenBySimulation: "the mailbox hands each message over once",
  },
  {
    name: "shard taken over and not read",
    guard: "What waits for a shard when it is taken is read at once.",
    edits: noReadOfTaken,
  },
  {
    name: "messages not swept",
    guard: "What was overlooked is found in the end.",
    edits: noSweep,
    maskedBy: ["shard taken over and not read"],
    unseenBySimulation: "nothing is overlooked",
  },
  {
    name: "shard lost, messages remembered",
    guard: "A shard that comes back is read from its beginning.",
    edits: [without("worker/task-hub-worker.ts", "this.#mailbox.forget(shards);")],
  },
  {
    name: "shard lost, memory kept",
    guard: "What another worker goes on with is not in memory here.",
    edits: memoryKept,
  },
  {
    name: "instance of another's shard taken up",
    guard: "A shard may be lost while an instance of it is read.",
    edits: [
      without(
        DISPATCHER,
        "if (!this.#isOurs(loaded.instance)) {\n      this.#parts.onInstanceGone(iid);\n      return;\n    }",
      ),
    ],
    maskedBy: ["commit without sequence", "commit without consumed messages"],
    unseenBySimulation: "the commit is refused, as another worker has gone on",
  },
  {
    name: "message of another's shard handed over",
    guard: "A shard may be lost while its messages are read.",
    edits: [
      edit(
        MAILBOX,
        "this.#owned.owns(message.shard) && this.#cursor.take(message)",
        "this.#cursor.take(message)",
      ),
    ],
    maskedBy: ["instance of another's shard taken up", "commit without consumed messages"],
    unseenBySimulation: "its instance is not taken up",
  },
  {
    name: "adoption that forgets activities",
    guard: "What a former owner had begun is run again.",
    edits: [
      edit(
        DISPATCHER,
        "if (resident.held || resident.dead) return;",
        "if (resident.held || !resident.dead) return;",
      ),
    ],
  },
  {
    name: "adoption of what runs here",
    guard: "An activity that this worker runs already is not begun again.",
    edits: [without(DISPATCHER, "!this.#activities.has(iid, generation, activity.task) &&")],
  },
  {
    name: "adoption of what was answered here",
    guard: "An activity whose result waits for its turn is not run again.",
    edits: [
      edit(DISPATCHER, "&&\n        !resident.inbox.some((item) => answers(item, activity.task)),", ","),
    ],
  },
  {
    name: "adoption of what was answered elsewhere",
    guard: "The same, for a task that was answered since its instance was read.",
    edits: [
      edit(
        DISPATCHER,
        "return without.filter(({ task }) => !mail.some((item) => answers(item, task)));",
        "return mail.length < 0 ? [] : without;",
      ),
    ],
  },
  {
    name: "adoption of what was read long ago",
    guard: "The same, where its instance has gone on since.",
    edits: [
      edit(
        DISPATCHER,
        "if (now?.instance.generation !== generation || now.instance.sequence !== instance.sequence) {",
        "if (now === undefined) {",
      ),
    ],
    maskedBy: ["commit without sequence"],
    unseenBySimulation: "the commit that draws the new token is refused",
  },
  {
    name: "unfinished instances not adopted",
    guard: "A new owner looks for what waits for nothing that comes by message.",
    edits: [without("worker/task-hub-worker.ts", "for (const iid of iids) this.#dispatcher.adopt(iid);")],
  },
  {
    name: "timers fired early",
    guard: "A timer fires when it is due.",
    edits: [edit(TIMER_LOOP, "untilMs: nowMs,", "untilMs: nowMs + 100,")],
  },
  {
    name: "timers by the worker's clock",
    guard: "What is due for one process is due for all.",
    edits: [
      edit(
        "worker/store-clock.ts",
        "if (this.#aheadMs.length === 0) return this.#env.now();",
        "if (this.#aheadMs !== null) return this.#env.now();",
      ),
    ],
  },
  {
    name: "timer of a former generation taken in",
    guard: "What was read to be due may be over when it is handed to its instance.",
    edits: [
      without(
        DISPATCHER,
        "if (!resident.isAt(timer.generation)) return this.#parts.onTimerSettled(timer, false);",
      ),
    ],
    maskedBy: ["commit without fired timers"],
    unseenBySimulation: "the commit is refused, as the timer is gone",
  },
  {
    name: "timer of a later run left out",
    guard: "A run that began outside is in nobody's memory yet: its timer fires all the same.",
    edits: [
      without(
        DISPATCHER,
        "if (timer.generation > resident.instance.generation) return this.#fireAnew(timer, resident);",
      ),
    ],
  },
  {
    name: "timer lost after a refused turn",
    guard: "A timer whose turn was not committed fires again.",
    edits: [
      edit(
        TIMER_LOOP,
        "this.#fired.delete(keyOf(timer));\n    if (again)",
        "if (!again) this.#fired.delete(keyOf(timer));\n    if (again)",
      ),
    ],
  },
  {
    name: "timer lost with its instance's memory",
    guard: "A timer fires though its instance was gone from memory, or another's, for a while.",
    edits: [
      without(
        TIMER_LOOP,
        "for (const key of this.#fired) if (key.startsWith(`${iid}:`)) this.#fired.delete(key);",
      ),
    ],
  },
  {
    name: "requests given up after a failure",
    guard: "A request is tried until it can be carried out.",
    edits: [edit("worker/request-handler.ts", "await this.#env.sleep(RETRY_MS);", "return;")],
  },
  {
    name: "store not asked again",
    guard: "A commit that the store could not take now is only late.",
    edits: [
      edit("worker/persist.ts", "if (!isPassing(error) || isOver?.() === true) throw error;", "throw error;"),
    ],
  },
];
