import type { GroundKind } from "./ground.js";
import {
  activity,
  again,
  begun,
  child,
  client,
  event,
  pass,
  raise,
  type Scene,
  start,
  terminate,
  timer,
} from "./scene.js";

// At first `worker1` owns a, c and kid-1, and `worker2` owns b and kid-0. Who joins with one client at work is `worker6`:
// c becomes his; and a is worker2's once worker1 is gone.

/** The scenes that can be played on a ground. */
export function scenesOn(ground: GroundKind): readonly Scene[] {
  return SCENES.filter(({ asPostgres, sharing }) =>
    ground === "memory" ? sharing !== "one engine" : asPostgres === undefined,
  );
}

/** Each is a race that a guard of the engine is for. */
export const SCENES: readonly Scene[] = [
  // --- what a former owner still has under way ----------------------------------------------------------------------
  {
    name: "a former owner's turn comes when another run is as far",
    workers: 2,
    clients: [
      client(
        start("a", [activity(500), event]),
        pass(3_000),
        start("a", [event], { ifLive: "terminate" }),
        pass(8_000),
        raise("a"),
      ),
    ],
    directions: [
      { call: "leases.renew", of: "worker1", fromMs: 2_000, fault: "lease ended", forMs: 9_000 },
      { call: "commit a 1.1", of: "worker1", fault: "held call", forMs: 8_000 },
    ],
    lingerMs: 0,
  },
  {
    name: "a commit arrives again when another worker has taken over",
    workers: 2,
    clients: [client(start("a", [activity(4_000)]))],
    directions: [
      { call: "commit a 1.0", of: "worker1", fault: "duplicate", forMs: 6_000 },
      { call: "leases.renew", of: "worker1", fromMs: 2_000, fault: "lease ended", forMs: 9_000 },
    ],
    lingerMs: 8_000,
  },
  {
    name: "a former owner takes an event in before its successor has seen it",
    workers: 2,
    clients: [client(start("a", [event, activity(4_000)]), pass(2_900), raise("a"), pass(8_000))],
    directions: [
      { call: "leases.renew", of: "worker1", fromMs: 3_000, fault: "lease ended", forMs: 3_000 },
      { call: "poll", of: "worker2", fromMs: 4_900, fault: "held call", forMs: 1_000 },
      { call: "commit a 1.1", of: "worker1", fault: "crash after" },
    ],
    lingerMs: 0,
  },
  {
    name: "another worker takes an event in, and stands still, while its instance is in memory here",
    workers: 2,
    sharing: "divided",
    clients: [client(start("a", [event, activity(500)]), pass(3_000), raise("a"))],
    directions: [
      { call: "poll", of: "worker2", fromMs: 5_000, fault: "held call", forMs: 1_000 },
      { call: "commit a 1.1", of: "worker1", fault: "pause", forMs: 60_000 },
    ],
    lingerMs: 10_000,
    inTime: true,
  },
  // --- shards that come and go --------------------------------------------------------------------------------------
  {
    name: "an owner dies, and what it has begun is left",
    workers: 2,
    clients: [client(start("a", [activity(1_500)]))],
    directions: [{ call: "leases.renew", of: "worker1", fromMs: 2_000, fault: "crash before" }],
    lingerMs: 7_000,
    inTime: true,
  },
  {
    name: "an owner stands still for longer than its lease",
    workers: 2,
    clients: [client(start("a", [timer(3_000)]))],
    directions: [{ call: "leases.renew", of: "worker1", fromMs: 3_000, fault: "pause", forMs: 10_000 }],
    lingerMs: 12_000,
  },
  {
    name: "an event comes to a dead owner, and its successor has read on since",
    workers: 2,
    clients: [
      client(
        start("a", [event]),
        start("b", [event, event]),
        pass(2_800),
        raise("a"),
        pass(500),
        raise("b"),
        pass(2_000),
        raise("b"),
      ),
    ],
    directions: [{ call: "leases.renew", of: "worker1", fromMs: 4_000, fault: "crash before" }],
    lingerMs: 5_000,
    inTime: true,
  },
  {
    name: "a shard is lost with an event that was read, and comes back",
    workers: 1,
    residents: 1,
    clients: [
      client(start("a", [event]), pass(500), start("b", [event]), pass(1_500), raise("a"), raise("b")),
    ],
    directions: [
      { call: "load", of: "worker1", fromMs: 4_000, fault: "held call", forMs: 4_200 },
      { call: "leases.renew", of: "worker1", fromMs: 4_000, fault: "lease ended", forMs: 4_000 },
    ],
    lingerMs: 8_000,
  },
  // --- messages -----------------------------------------------------------------------------------------------------
  {
    name: "an event is handed to a worker when another one has taken it in",
    workers: 2,
    sharing: "divided",
    residents: 1,
    clients: [
      client(
        start("a", [event, event]),
        pass(500),
        start("b", [event]),
        pass(500),
        raise("a"),
        pass(6_000),
        raise("a"),
        raise("b"),
      ),
    ],
    directions: [{ call: "poll", of: "worker1", fromMs: 3_000, fault: "held reply", forMs: 3_000 }],
    lingerMs: 1_000,
  },
  {
    name: "an event is handed to a worker when the next run has begun",
    workers: 2,
    sharing: "divided",
    residents: 1,
    clients: [
      client(
        start("a", [event]),
        pass(500),
        start("b", [event]),
        pass(500),
        raise("a"),
        pass(500),
        start("a", [event]),
        pass(6_000),
        raise("a"),
        raise("b"),
      ),
    ],
    directions: [{ call: "poll", of: "worker1", fromMs: 3_000, fault: "held reply", forMs: 4_000 }],
    lingerMs: 1_000,
  },
  {
    name: "two workers take in an event, and one of them the next one with it",
    workers: 2,
    sharing: "divided",
    clients: [
      client(
        start("a", [event, event, event, activity(10_000)]),
        pass(2_000),
        raise("a"),
        pass(200),
        raise("a"),
        pass(5_000),
        raise("a"),
      ),
    ],
    directions: [
      { call: "commit a 1.1", of: "worker2", fault: "held call", forMs: 1_000 },
      { call: "poll", of: "worker1", fromMs: 4_000, fault: "held call", forMs: 500 },
      { call: "commit a 1.1", of: "worker1", fault: "held call", forMs: 1_000 },
      { call: "poll", of: "worker2", fromMs: 4_100, fault: "held call", forMs: 10_000 },
    ],
    lingerMs: 0,
  },
  {
    name: "a request cannot be carried out at once",
    workers: 2,
    clients: [client(start("a", [child([])]))],
    directions: [{ call: "execute start kid-0", fault: "lost call", times: 2 }],
    lingerMs: 1_000,
  },
  // --- results ------------------------------------------------------------------------------------------------------
  {
    name: "an activity ends when its instance has continued as new",
    workers: 2,
    clients: [client(start("a", [begun(3_000), event, again, activity(8_000)]), pass(500), raise("a"))],
    directions: [],
    lingerMs: 0,
  },
  {
    name: "an activity ends while its instance is read, of which another worker runs the next run",
    workers: 2,
    clients: [
      client(
        start("a", [activity(3_000)]),
        pass(2_700),
        start("a", [activity(4_000)], { ifLive: "terminate" }),
      ),
    ],
    directions: [
      { call: "leases.renew", of: "worker1", fromMs: 3_000, fault: "lease ended", forMs: 3_000 },
      { call: "heads", of: "worker1", fromMs: 4_000, fault: "held call", forMs: 6_000 },
      { call: "poll", of: "worker2", fromMs: 4_700, fault: "held call", forMs: 200 },
      { call: "load", of: "worker1", fromMs: 4_700, fault: "held call", forMs: 600 },
    ],
    lingerMs: 6_000,
  },
  {
    name: "an activity ends while its instance is read, in which another run of it has been answered",
    workers: 2,
    sharing: "divided",
    clients: [
      client(start("a", [activity(1_000), event, event]), pass(1_050), raise("a"), pass(3_000), raise("a")),
    ],
    directions: [
      { call: "commit a 1.0", of: "worker1", fault: "held call", forMs: 200 },
      { call: "load", of: "worker1", fromMs: 3_050, fault: "held call", forMs: 1_000 },
    ],
    lingerMs: 3_000,
  },
  {
    name: "two runs of an activity are answered in one turn",
    asPostgres: true,
    workers: 2,
    joinsAtMs: 4_000,
    clients: [
      client(start("c", [begun(5_000), event, event]), pass(5_500), raise("c"), pass(6_000), raise("c")),
    ],
    directions: [
      { call: "tasks.offer", of: "worker1", fault: "held call", forMs: 4_000 },
      { call: "commit c 1.2", of: "worker6", fault: "held call", forMs: 4_000 },
    ],
    lingerMs: 3_000,
  },
  {
    name: "an activity that was handed over ends when its instance has continued as new",
    asPostgres: true,
    workers: 2,
    joinsAtMs: 4_000,
    clients: [client(start("c", [begun(6_000), event, again, activity(9_000)]), pass(4_000), raise("c"))],
    directions: [{ call: "heads", of: "worker1", fromMs: 6_000, fault: "held call", forMs: 5_000 }],
    lingerMs: 6_000,
  },
  {
    name: "a child answers while its parent continues as new",
    workers: 2,
    clients: [
      client(
        start("a", [child([timer(1_000)], { waits: false }), event, again, event]),
        pass(500),
        raise("a"),
        pass(9_500),
        raise("a"),
      ),
    ],
    directions: [
      { call: "commit a 1.1", fault: "held call", forMs: 3_000 },
      { call: "leases.renew", of: "worker1", fromMs: 7_000, fault: "crash before" },
    ],
    lingerMs: 0,
  },
  {
    name: "a timer is due when its instance has continued as new",
    workers: 2,
    clients: [
      client(
        start("a", [timer(2_500, false), event, again, event]),
        pass(500),
        raise("a"),
        pass(4_000),
        raise("a"),
      ),
    ],
    directions: [],
    lingerMs: 0,
  },
  // --- families -----------------------------------------------------------------------------------------------------
  {
    name: "a child is waited for by one that attached to it",
    workers: 2,
    clients: [
      client(
        start("kid-0", [event]),
        pass(200),
        start("a", [child([], { ifLive: "attach" })]),
        pass(1_000),
        raise("kid-0"),
      ),
    ],
    directions: [],
    lingerMs: 0,
  },
  {
    name: "a run is ended whose child is on its way",
    workers: 2,
    clients: [client(start("a", [child([event])]), pass(1_000), terminate("a"))],
    directions: [{ call: "execute start kid-0", fault: "held call", forMs: 3_000 }],
    lingerMs: 4_000,
  },
  {
    name: "a run is ended with its child",
    workers: 2,
    clients: [client(start("a", [child([event])]), pass(1_000), terminate("a"))],
    directions: [],
    lingerMs: 0,
  },
  {
    name: "a run is ended whose child's ID is another's when it is told",
    workers: 2,
    clients: [
      client(
        start("a", [child([event])]),
        pass(1_000),
        terminate("a"),
        pass(200),
        terminate("kid-0"),
        start("kid-0", [event]),
        pass(5_000),
        raise("kid-0"),
      ),
    ],
    directions: [{ call: "execute terminate kid-0", of: "worker2", fault: "held call", forMs: 3_000 }],
    lingerMs: 0,
  },
  // --- runs that begin anew -----------------------------------------------------------------------------------------
  {
    name: "a suspended run is replaced",
    workers: 2,
    clients: [
      client(
        start("a", [event]),
        pass(500),
        { do: "suspend", id: "a" },
        pass(500),
        start("a", [event], { ifLive: "terminate" }),
        pass(500),
        { do: "resume", id: "a" },
        raise("a"),
      ),
    ],
    directions: [],
    lingerMs: 0,
  },
  {
    name: "a failed run is rewound",
    workers: 2,
    clients: [client(start("a", [timer(500), { do: "fail" }]), pass(1_000), { do: "rewind", id: "a" })],
    directions: [],
    lingerMs: 0,
  },
  {
    name: "a failed run is restarted, and fails, while somebody rewinds it",
    workers: 2,
    clients: [
      client(start("a", [{ do: "fail" }]), pass(500), { do: "rewind", id: "a" }),
      client(pass(1_000), { do: "restart", id: "a" }),
    ],
    directions: [{ call: "execute rewind a", fault: "held call", forMs: 3_000 }],
    lingerMs: 0,
  },
  // --- what else would refuse is gone -------------------------------------------------------------------------------
  {
    name: "a run is ended while a turn of it is on its way, and started again",
    workers: 2,
    clients: [
      client(
        start("a", [activity(300), activity(500)]),
        pass(1_000),
        terminate("a"),
        pass(5_000),
        start("a", []),
      ),
    ],
    directions: [{ call: "commit a 1.1", fault: "held call", forMs: 3_000 }],
    lingerMs: 0,
  },
  {
    name: "an event is handed to a worker whose shard was another's meanwhile, and is in its next run",
    workers: 2,
    clients: [
      client(
        start("a", [event]),
        pass(1_200),
        raise("a"),
        pass(3_500),
        start("a", [event]),
        pass(11_000),
        raise("a"),
      ),
    ],
    directions: [
      { call: "poll", of: "worker1", fromMs: 3_150, fault: "held reply", forMs: 11_000 },
      { call: "leases.renew", of: "worker1", fromMs: 3_150, fault: "lease ended", forMs: 3_000 },
    ],
    lingerMs: 1_000,
  },
  {
    name: "a child's answer is handed to a worker whose shard was another's meanwhile, and is in its next generation",
    workers: 2,
    clients: [client(start("a", [child([timer(1_200)]), again, event]), pass(15_000), raise("a"))],
    directions: [
      { call: "poll", of: "worker1", fromMs: 3_150, fault: "held reply", forMs: 11_000 },
      { call: "leases.renew", of: "worker1", fromMs: 3_150, fault: "lease ended", forMs: 3_000 },
    ],
    lingerMs: 1_000,
  },
  {
    name: "an activity ends twice, and its instance has continued as new in between",
    workers: 2,
    sharing: "divided",
    clients: [client(start("a", [activity(1_000), again, activity(3_000)]))],
    directions: [{ call: "commit a 1.2", fault: "held call", forMs: 500 }],
    lingerMs: 3_000,
  },
  {
    name: "an activity ends twice, and its instance has gone on in between",
    workers: 2,
    sharing: "divided",
    clients: [client(start("a", [activity(1_000), event]), pass(4_000), raise("a"))],
    directions: [{ call: "commit a 1.2", fault: "held call", forMs: 500 }],
    lingerMs: 3_000,
  },
  {
    name: "a timer that was read to be due is handed over when its instance has continued as new",
    workers: 2,
    clients: [
      client(
        start("a", [timer(1_000, false), event, again, event]),
        pass(1_500),
        raise("a"),
        pass(4_000),
        raise("a"),
      ),
    ],
    directions: [{ call: "due", of: "worker1", fromMs: 3_000, fault: "held reply", forMs: 2_000 }],
    lingerMs: 0,
  },
  {
    name: "a shard is lost while an instance of it is read",
    workers: 2,
    residents: 1,
    clients: [
      client(
        start("a", [event, event]),
        pass(500),
        start("c", [event]),
        pass(700),
        raise("a"),
        pass(9_000),
        raise("a"),
        raise("c"),
      ),
    ],
    directions: [
      { call: "load", of: "worker1", fromMs: 3_100, fault: "held reply", forMs: 7_000 },
      { call: "leases.renew", of: "worker1", fromMs: 3_100, fault: "lease ended", forMs: 9_000 },
    ],
    lingerMs: 1_000,
  },
  {
    name: "an event is handed to a worker whose shard is another's",
    workers: 2,
    clients: [client(start("a", [event, event]), pass(1_200), raise("a"), pass(11_000), raise("a"))],
    directions: [
      { call: "poll", of: "worker1", fromMs: 3_150, fault: "held reply", forMs: 5_000 },
      { call: "leases.renew", of: "worker1", fromMs: 3_150, fault: "lease ended", forMs: 8_000 },
    ],
    lingerMs: 1_000,
  },
  // --- work that is not done again ----------------------------------------------------------------------------------
  {
    name: "a run's end is refused while an activity of it runs",
    workers: 1,
    once: true,
    clients: [client(start("a", [begun(3_000), event]), pass(500), raise("a"), pass(200), raise("a"))],
    directions: [{ call: "commit a 1.1", fault: "held call", forMs: 500 }],
    lingerMs: 3_000,
  },
  {
    name: "a run's end is refused while the result of an activity waits",
    workers: 1,
    once: true,
    clients: [client(start("a", [begun(700), event]), pass(500), raise("a"), pass(100), raise("a"))],
    directions: [{ call: "commit a 1.1", fault: "held call", forMs: 500 }],
    lingerMs: 3_000,
  },
  {
    name: "an activity that was handed over ends while its instance is taken over",
    asPostgres: true,
    once: true,
    workers: 2,
    joinsAtMs: 4_000,
    clients: [client(start("c", [activity(5_000)]))],
    directions: [{ call: "tasks.of", fromMs: 4_500, fault: "held call", forMs: 4_000 }],
    lingerMs: 12_000,
  },
  {
    name: "a former owner's turn comes while its instance is taken over",
    asPostgres: true,
    workers: 2,
    joinsAtMs: 4_000,
    clients: [client(start("c", [activity(1_900), event]), pass(12_000), raise("c"))],
    directions: [
      { call: "commit c 1.1", of: "worker1", fault: "held call", forMs: 3_000 },
      { call: "tasks.of", of: "worker6", fault: "held call", forMs: 4_000 },
    ],
    lingerMs: 3_000,
  },
  {
    name: "a run in memory is replaced by one that begins later",
    workers: 2,
    clients: [client(start("a", [event]), pass(500), start("a", [], { ifLive: "terminate", inMs: 2_000 }))],
    directions: [],
    lingerMs: 3_000,
    inTime: true,
  },
  // --- messages that come out of the order of their numbers ---------------------------------------------------------
  {
    name: "an event comes with a child's result, and the event before it is not there yet",
    asPostgres: true,
    workers: 2,
    clients: [
      client(
        start("a", [child([timer(3_700)], { waits: false }), event]),
        start("c", [event, event]),
        pass(3_000),
        raise("c"),
        pass(600),
        raise("a"),
        pass(50),
        raise("c"),
        pass(100),
        raise("a"),
      ),
    ],
    directions: [
      { call: "execute raise a", fault: "late message", forMs: 700 },
      { call: "poll", of: "worker1", fromMs: 5_640, fault: "held call", forMs: 200 },
    ],
    lingerMs: 3_000,
    inTime: true,
  },
  {
    name: "a run begins before its owner is told that the one before it has ended",
    workers: 1,
    clients: [client(start("a", [timer(500)]), pass(1_000), start("a", []))],
    directions: [{ call: "commit a 1.1", fault: "held reply", forMs: 2_000 }],
    lingerMs: 5_000,
    inTime: true,
  },
  // --- one engine, which nobody else wakes --------------------------------------------------------------------------
  {
    name: "a timer is set while those that are due are read",
    sharing: "one engine",
    workers: 1,
    clients: [client(start("a", [timer(2_000)]), start("b", [activity(2_200), timer(1_000)]))],
    directions: [{ call: "due", fromMs: 4_000, fault: "held reply", forMs: 500 }],
    lingerMs: 5_000,
    inTime: true,
  },
];
