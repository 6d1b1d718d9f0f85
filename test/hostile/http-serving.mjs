// A server in a process of its own. Says its port; asked for "memory", the most that the process ever had.
import process from "node:process";
import { orchestration, TaskHub } from "tenure";
import { createHttpHandler, serveHttp } from "tenure/http";

const hub = await TaskHub.open({
  store: "memory",
  functions: [orchestration("Echo", async (_ctx, input) => input)],
});
const server = await serveHttp(createHttpHandler(hub), { port: 0 });

process.on("message", () => {
  globalThis.gc?.();
  process.send?.(process.resourceUsage().maxRSS * 1024);
});
process.send?.(server.port);
