import { edit, type Mutant, without } from "./mutant.js";

const TURN_STATEMENT = "stores/postgres/turn-statement.ts";
const TURNS = "stores/postgres/turns.ts";
const COLUMNS = "stores/postgres/turn-columns.ts";
const MESSAGES = "stores/postgres/messages.ts";
const BEGIN_RUN = "stores/postgres/begin-run.ts";
const COMMANDS = "stores/postgres/commands.ts";
const LEASES = "stores/postgres/leases.ts";
const TASKS = "stores/postgres/tasks.ts";
const PURGE = "stores/postgres/purge.ts";
const END_RUN = "stores/postgres/end-run.ts";
const END_FROM_OUTSIDE = "stores/postgres/end-from-outside.ts";
const REWIND = "stores/postgres/rewind.ts";

const DECIDED_UNDER_LOCK = "core decides it while the row is locked";

/** The guards of the PostgreSQL store, each in its statement. What masks one may be of the other list. */
export const POSTGRES_MUTANTS: readonly Mutant[] = [
  {
    name: "commit without generation",
    guard: "A worker that slept through a continue-as-new or a restart does not write into what came after.",
    edits: [
      edit(
        TURN_STATEMENT,
        "and i.generation = u.generation and i.sequence = u.sequence\n",
        "and i.sequence = u.sequence\n",
      ),
    ],
    cases: "it is of an earlier generation",
  },
  {
    name: "commit without sequence",
    guard: "Of two owners that run the same turn, one wins.",
    edits: [
      edit(
        TURN_STATEMENT,
        "and i.generation = u.generation and i.sequence = u.sequence\n",
        "and i.generation = u.generation\n",
      ),
    ],
    cases: "its sequence is stale",
  },
  {
    name: "commit without live status",
    guard: "Nothing is written after the end of a run.",
    edits: [
      edit(
        TURN_STATEMENT,
        'and ${unindexed("i.status")} < ${STATUS_CODES.Completed}\n      ${has(ENDS) ? `and (u.end',
        "${has(ENDS) ? `and (u.end",
      ),
    ],
    cases: "a turn is refused once the run",
  },
  {
    name: "commit without consumed messages",
    guard: "A message is taken in once, and not after its run has ended.",
    edits: [without(TURN_STATEMENT, '${has(CONSUMES) ? CONSUMED_EXIST : ""}')],
    cases: "a message which never was",
  },
  {
    name: "commit without fired timers",
    guard: "A timer fires once.",
    edits: [without(TURN_STATEMENT, '${has(TIMERS) ? FIRED_EXIST : ""}')],
    cases: "the firing of a timer that never was set",
  },
  {
    name: "fired timer that stays",
    guard: "What the guard looks for is gone once it was taken in.",
    edits: [edit(COLUMNS, "[...timersFired, ...timersCleared].filter", "[...timersCleared].filter")],
    cases: "the firing of a timer that has fired before",
  },
  {
    name: "end without mail",
    guard: "An event that was accepted before the end is taken in.",
    edits: [
      without(
        TURN_STATEMENT,
        '${has(ENDS) ? `and (u.end_status is null or u.seen_mail in (i.mail, ${ANY_MAIL}))` : ""}',
      ),
    ],
    cases: "when an event was accepted meanwhile",
  },
  {
    name: "commit that takes all mail",
    guard: "A turn deletes what it has taken in, by number, and nothing else.",
    edits: [
      edit(
        TURN_STATEMENT,
        '"delete from @message m using up where m.n = any(up.consumed)"',
        '"delete from @message m using up where m.iid = up.iid"',
      ),
    ],
    cases: "a turn leaves the messages that it does not take in",
  },
  {
    name: "recommit without writer",
    guard: "Another worker's commit with the same number is not taken for this one.",
    edits: [
      edit(TURNS, "where (\n    i.writer = u.writer and i.commit_number", "where (\n    i.commit_number"),
      edit(TURNS, "and h.writer = u.writer and h.commit_number", "and h.commit_number"),
    ],
    cases: "a commit of another writer",
  },
  {
    name: "recommit without number",
    guard: "Another commit of the same worker is not taken for this one.",
    edits: [
      edit(TURNS, "i.writer = u.writer and i.commit_number = u.number and (", "i.writer = u.writer and ("),
      edit(TURNS, "and h.writer = u.writer and h.commit_number = u.number", "and h.writer = u.writer"),
    ],
    cases: "another commit of the same writer",
  },
  {
    name: "recommit never recognised",
    guard: "A commit whose answer was lost is told that it was accepted.",
    edits: [edit(TURNS, "if (refused.length > 0) await", "if (refused.length < 0) await")],
    cases: "committed again is told the same",
  },
  {
    name: "recommit told the token of a later run",
    guard: "A token says which run of the ID it belongs to.",
    edits: [
      edit(
        TURNS,
        "case when i.generation = u.reached and i.writer = u.writer and i.commit_number = u.number then",
        "case when i.generation >= u.reached then",
      ),
    ],
    cases: "is told the token of that run",
  },
  {
    name: "recommit told the token that another owner has drawn since",
    guard: "Who was taken over must not run activities under its successor's token.",
    edits: [
      edit(
        TURNS,
        "case when i.generation = u.reached and i.writer = u.writer and i.commit_number = u.number then",
        "case when i.generation = u.reached then",
      ),
    ],
    cases: "the token that another owner has drawn",
  },
  {
    name: "raise that does not raise mail",
    guard: "The turn that ends a run is refused when an event has come that it has not seen.",
    edits: [edit(MESSAGES, "set mail = i.mail + cardinality(p.bodies),", "set mail = i.mail,")],
    cases: "when an event was accepted meanwhile",
  },
  {
    name: "wait that does not raise mail",
    guard: "A waiter that was accepted is answered.",
    edits: [edit(MESSAGES, "update @inst set mail = mail + 1", "update @inst set mail = mail")],
    cases: "when a waiter was accepted meanwhile",
  },
  {
    name: "mail for any state",
    guard: "Nothing is accepted for a run that has ended: the statement.",
    edits: [
      edit(
        MESSAGES,
        'and ${unindexed("i.hub")} = $1 and i.run = p.run\n      and ${unindexed("i.status")} < 2',
        'and ${unindexed("i.hub")} = $1',
      ),
    ],
    maskedBy: ["command for an ended run carried out"],
    unseenByConformance: DECIDED_UNDER_LOCK,
    cases: "whatever an event is told",
  },
  {
    name: "end written over any state",
    guard: "The same, for what ends a run from outside.",
    edits: [
      without(
        END_FROM_OUTSIDE,
        'and i.generation = e.generation and i.sequence = e.sequence and ${unindexed("i.status")} < 2',
      ),
    ],
    maskedBy: ["command for an ended run carried out"],
    unseenByConformance: DECIDED_UNDER_LOCK,
    cases: "whatever a terminate is told",
  },
  {
    name: "rewind written over any state",
    guard: "Only a failed run is rewound: the statement.",
    edits: [
      edit(
        REWIND,
        "and generation = $9 and sequence = $10 and status = ${STATUS_CODES.Failed}",
        "and $9::bigint + $10::bigint > 0",
      ),
    ],
    maskedBy: ["rewind of what has not failed"],
    unseenByConformance: DECIDED_UNDER_LOCK,
    cases: "whatever a rewind is told",
  },
  {
    name: "purge of a live run written",
    guard: "A live run is not purged: the statement.",
    edits: [edit(PURGE, "and status >= 2 returning iid", "returning iid")],
    maskedBy: ["purge of a live run decided"],
    unseenByConformance: DECIDED_UNDER_LOCK,
    cases: "whatever a purge is told",
  },
  {
    name: "start decided from an old read",
    guard:
      "One live run per ID: what was decided is still so when it is written. The statement's condition sees it.",
    edits: [
      edit(
        COMMANDS,
        'return command.kind === "start" && command.consumes === undefined && command.parent === undefined;',
        "return command.kind === undefined;",
      ),
      edit(
        COMMANDS,
        "const { answer, change } = decide(command, found, remembered.get(command));",
        'const isOld = command.kind === "start" && ["Pending", "Running", "Suspended"].includes(instance?.status);\n      const { answer, change } = decide(command, isOld ? undefined : found, remembered.get(command));',
      ),
    ],
    cases: "each deciding on what the one before left",
  },
  {
    name: "upsert without condition",
    guard: "The same, where the row is locked since it was read.",
    edits: [without(BEGIN_RUN, "and (1 << i.status) & b.over <> 0")],
    maskedBy: ["start decided from an old read"],
    unseenByConformance: DECIDED_UNDER_LOCK,
    cases: "whatever a start that is to be refused is told",
  },
  {
    name: "row not locked",
    guard: "What a command was decided from is still so when it is written.",
    edits: [
      edit(COMMANDS, 'const LOCK = `order by ${unindexed("i.iid")} for update of i`;', 'const LOCK = "";'),
    ],
    test: "src/stores/postgres/commands.test.ts",
  },
  {
    name: "start that takes an ID over",
    guard: "Of starts of an ID that nobody has, one begins.",
    edits: [
      edit(
        BEGIN_RUN,
        "on conflict (hub, id) do nothing",
        "on conflict (hub, id) do update set execution_id = excluded.execution_id",
      ),
    ],
    test: "src/stores/postgres/commands.test.ts",
  },
  {
    name: "request ID forgotten",
    guard: "A start that is tried again does not start twice.",
    edits: [
      edit(COMMANDS, "return claim === undefined || !late.has(claim);", "return true;"),
      edit(
        COMMANDS,
        "decide(command, found, remembered.get(command));",
        "decide(command, found, undefined);",
      ),
      edit(
        COMMANDS,
        "instance && foundOf(instance), remembered.get(command));",
        "instance && foundOf(instance), undefined);",
      ),
    ],
    cases: "request ID",
  },
  {
    name: "request kept after its command",
    guard: "What an instance asks of another ID happens once.",
    edits: [
      edit(
        MESSAGES,
        '"delete from @message where n = any($2::bigint[]) and hub = $1 and target is not null returning n"',
        '"select n from @message where n = any($2::bigint[]) and hub = $1 and target is not null"',
      ),
    ],
    cases: "a request",
  },
  {
    name: "request carried out though it is gone",
    guard: "A request that two workers have read is carried out by one.",
    edits: [
      edit(
        COMMANDS,
        "command.consumes !== undefined && !taken.delete(command.consumes)",
        "command.consumes !== undefined && taken.delete(command.consumes) === undefined",
      ),
    ],
    cases: "a request",
  },
  {
    name: "answer for another generation",
    guard: "Nothing that was asked by one execution answers the next.",
    edits: [
      edit(
        MESSAGES,
        'and ${unindexed("i.hub")} = $1 and i.generation = a.generation\n',
        'and ${unindexed("i.hub")} = $1\n',
      ),
      without(TURN_STATEMENT, "and p.generation = a.generation"),
    ],
    cases: "a parent that has continued as new gets no answer",
  },
  {
    name: "mail of an ended run kept",
    guard: "Nothing that was sent to a run reaches the next.",
    edits: [
      edit(
        TURN_STATEMENT,
        '...(has(ENDS) ? ["up.end_status is not null"] : []),\n    ...(has(CONTINUES) ? ["(up',
        '...(has(ENDS) ? ["false"] : []),\n    ...(has(CONTINUES) ? ["(up',
      ),
    ],
    cases: "ended by its last turn leaves no mail",
  },
  {
    name: "mail of an ended run dropped without a record",
    guard: "An accepted event is taken in, or its loss is recorded.",
    edits: [
      edit(
        TURN_STATEMENT,
        '"select iid, count(*) as n from gone where dropped group by iid"',
        '"select iid, 0 as n from gone where dropped group by iid"',
      ),
    ],
    cases: "that its last turn drops are counted",
  },
  {
    name: "continue-as-new that drops events",
    guard: "Events are for the run, and go on with it.",
    edits: [
      edit(
        TURN_STATEMENT,
        "(up.next_execution is not null and m.run is null)",
        "(up.next_execution is not null)",
      ),
    ],
    cases: "events and commands that were not taken in go on",
  },
  {
    name: "continue-as-new that keeps timers",
    guard: "Timers are for one generation.",
    edits: [
      edit(
        TURN_STATEMENT,
        '...(has(CONTINUES) ? ["up.next_execution is not null"] : []),\n  ];\n  return `delete from @timer',
        '...(has(CONTINUES) ? ["false"] : []),\n  ];\n  return `delete from @timer',
      ),
    ],
    cases: "its timers are gone",
  },
  {
    name: "end that leaves timers",
    guard: "Nothing of an ended run fires.",
    edits: [
      edit(
        TURN_STATEMENT,
        '...(has(ENDS) ? ["up.end_status is not null"] : []),\n    ...(has(CONTINUES) ? ["up.next_execution is not null"] : []),\n  ];\n  return `delete from @timer',
        '...(has(ENDS) ? ["false"] : []),\n    ...(has(CONTINUES) ? ["up.next_execution is not null"] : []),\n  ];\n  return `delete from @timer',
      ),
      without(END_RUN, 'await query("delete from @timer where iid = any($1::bigint[])", [iids]);'),
    ],
    cases: "leaves no mail, timer or activity",
  },
  {
    name: "end that does not answer the parent",
    guard: "Whoever called a child hears of its end.",
    edits: [
      edit(
        TURN_STATEMENT,
        "from up where up.end_status is not null and up.parent is not null",
        "from up where up.end_status is not null and false",
      ),
      without(END_RUN, "...(parent === undefined ? [] : [{ to: parent, events: end.answer }]),"),
    ],
    cases: "answers its parent and all",
  },
  {
    name: "end that does not answer waiters",
    guard: "Whoever attached to a child hears of its end.",
    edits: [
      edit(
        TURN_STATEMENT,
        "select waiting_iid, waiting_generation, waiting_task, answer, place, n from freed",
        "select waiting_iid, waiting_generation, waiting_task, answer, place, n from freed where false",
      ),
      without(
        END_RUN,
        "...waiters.filter(({ of }) => of === iid).map(({ to }) => ({ to, events: end.answer })),",
      ),
    ],
    cases: "answers its parent and all",
  },
  {
    name: "starts of children not withdrawn",
    guard: "An ended run begins nothing any more.",
    edits: [
      edit(
        END_RUN,
        "select n from @message where sender_iid = u.iid and sender_run = u.run offset 0",
        "select n from @message where sender_iid = u.iid and sender_run = -u.run offset 0",
      ),
    ],
    cases: "child starts that were not carried out yet",
  },
  {
    name: "children not ended with their parent",
    guard: "A terminate that is asked to takes the children along.",
    edits: [
      edit(
        END_RUN,
        "where c.hub = $1 and c.status < ${STATUS_CODES.Completed}\n     order by c.iid",
        "where c.hub = $1 and c.status < 0\n     order by c.iid",
      ),
    ],
    cases: "a recursive terminate asks",
  },
  {
    name: "suspension kept by a new run",
    guard: "A run begins as nobody has touched it.",
    edits: [edit(BEGIN_RUN, "status = 0, suspended = 0, activities = 0", "status = 0, activities = 0")],
    cases: "a new run is not suspended",
  },
  {
    name: "generation begun anew by each run",
    guard: "The numbers of a former run do not fit the next.",
    edits: [edit(BEGIN_RUN, "generation = i.generation + 1, sequence = 0", "generation = 1, sequence = 0")],
    cases: "a turn of the replaced run is refused",
  },
  {
    name: "token not raised by a new run",
    guard: "A worker of the former run is outranked.",
    edits: [edit(BEGIN_RUN, "sequence = 0, token = i.token + 1", "sequence = 0, token = i.token")],
    cases: "the token rises",
  },
  {
    name: "token not raised by continue-as-new",
    guard: "A worker of the former generation is outranked.",
    edits: [
      edit(
        COLUMNS,
        "(raiseToken === true ? 1 : 0) + (next === undefined ? 0 : 1)",
        "raiseToken === true ? 1 : 0",
      ),
    ],
    cases: "the token rises",
  },
  {
    name: "token not raised on demand",
    guard: "Whoever runs again what another had begun outranks him.",
    edits: [edit(COLUMNS, "(raiseToken === true ? 1 : 0) + (next", "(raiseToken === true ? 0 : 0) + (next")],
    cases: "the token rises",
  },
  {
    name: "token not raised by rewind",
    guard: "A worker of the failed execution is outranked.",
    edits: [edit(REWIND, "token = token + 1", "token = token")],
    cases: "the token rises",
  },
  {
    name: "purge that forgets the token floor",
    guard: "Tokens of an ID rise for ever.",
    edits: [
      edit(PURGE, "select $1, shard, max(token) from purged", "select $1, shard, max(token) * 0 from purged"),
    ],
    cases: "the token rises",
  },
  {
    name: "token drawn once",
    guard: "A purge may lift the floor while the insert waits for it.",
    edits: [
      edit(BEGIN_RUN, "and b.generation = 1 and b.token <= s.token", "and b.generation = 1 and b.token < 0"),
    ],
    test: "src/stores/postgres/commands.test.ts",
  },
  {
    name: "left mail stays",
    guard: "Mail that came while a turn ended its run whatever came does not reach the next run.",
    edits: [edit(BEGIN_RUN, "and m.run < b.run and b.run > 1", "and m.run < 0")],
    test: "src/stores/postgres/turns.test.ts",
  },
  {
    name: "waiters left by an end",
    guard: "Who came while a turn ended the run whatever came is told its outcome.",
    edits: [
      edit(
        TURNS,
        "if (iids.length > 0) await answerLeftWaiters",
        "if (iids.length < 0) await answerLeftWaiters",
      ),
      edit(BEGIN_RUN, "if (awaited.length > 0) await", "if (awaited.length < 0) await"),
    ],
    test: "src/stores/postgres/turns.test.ts",
  },
  {
    name: "waiters not swept",
    guard: "The same, where a process died right after such a turn.",
    edits: [
      without(END_RUN, "await answerLeft(transaction, await query(LEFT_OF_PAGE, [hub, after, last]));"),
    ],
    test: "src/stores/postgres/store.test.ts",
  },
  {
    name: "shard claimed while it is owned",
    guard: "One worker at a time runs a shard's turns.",
    edits: [
      edit(
        LEASES,
        "where s.owner is null or s.owner = excluded.owner or not exists (",
        "where true or not exists (",
      ),
    ],
    cases: "several workers join a hub whose shards",
  },
  {
    name: "shard claimed without a lease",
    guard: "Who is taken for dead owns nothing.",
    edits: [
      edit(
        LEASES,
        "where me.hub = $1 and me.id = $2 and me.lease_until > clock_timestamp()",
        "where $1 > 0 and $2 is not null",
      ),
    ],
    test: "src/stores/postgres/leases.test.ts",
  },
  {
    name: "shard released for its next owner",
    guard: "Who has lost a shard cannot give it away.",
    edits: [
      edit(
        LEASES,
        "where hub = $1 and owner = $2 and shard",
        "where hub = $1 and $2::text is not null and shard",
      ),
    ],
    test: "src/stores/postgres/leases.test.ts",
  },
  {
    name: "task answered without being held",
    guard: "Of two that did the same work, one answers.",
    edits: [
      edit(
        TASKS,
        "where ${SAME} and ${HOLDER} = $2\n    returning t.iid, t.generation, u.events, u.place",
        "where ${SAME} and $2::text is not null\n    returning t.iid, t.generation, u.events, u.place",
      ),
    ],
    cases: "a result of somebody who does not hold",
  },
  {
    name: "task claimed without a new token",
    guard: "Whoever takes a task over outranks who had begun it.",
    edits: [edit(TASKS, "update @inst i set token = i.token + 1", "update @inst i set token = i.token")],
    cases: "a task that was begun before comes with a higher",
  },
  {
    name: "task offered for another generation",
    guard: "Work of a former generation is not done for the next.",
    edits: [edit(TASKS, 'and i.generation = u.generation\n  and ${unindexed("i.status")} < 2`', "`")],
    cases: "task",
  },
];
