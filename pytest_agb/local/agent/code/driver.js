"use strict";
// Makes node an interpreter for `runner.py`; see frames.py. Arguments: the descriptors of requests and replies.
// As with `node file.js`, a piece of code is done when nothing it started is under way any more. What it
// declares stays, and may be declared anew: it runs in V8's REPL mode, which also takes `await` anywhere.
{
  const fs = require("fs");
  const inspector = require("inspector");
  const net = require("net");
  const util = require("util");
  const [requests, replies] = process.argv.slice(-2).map(Number);
  const write = fs.writeSync;
  const exit = process.exit.bind(process);
  const now = performance.now.bind(performance);
  const session = new inspector.Session();
  session.connect();

  let held; // a value on its way out of the inspector
  const hold = Symbol("hold");
  Object.defineProperty(process, hold, { value: (value) => { held = value; } });
  Object.defineProperty(globalThis, "require", {
    value: require("module").createRequire(process.cwd() + "/"), writable: true, configurable: true,
  });
  if (typeof navigator === "undefined") { // node has it from version 21 on
    Object.defineProperty(globalThis, "navigator", {
      value: { userAgent: "Node.js/" + process.versions.node.split(".")[0] }, writable: true, configurable: true,
    });
  }
  process.argv.length = 1;

  function send(name, text = "") {
    const body = Buffer.from(text);
    let frame = Buffer.concat([Buffer.from(`${name} ${body.length}\n`), body]);
    while (frame.length) frame = frame.subarray(write(replies, frame));
  }

  // The inspector knows values by ID; this gets the one it means.
  function valueOf(remote) {
    if (remote.objectId === undefined) {
      if (remote.type === "undefined") return undefined;
      const text = remote.unserializableValue;
      if (text === undefined) return remote.value;
      return remote.type === "bigint" ? BigInt(text.slice(0, -1)) : Number(text);
    }
    const declaration = `function (key) { process[Object.getOwnPropertySymbols(process).find(
      (symbol) => symbol.description === "hold")](this); }`;
    session.post("Runtime.callFunctionOn", { objectId: remote.objectId, functionDeclaration: declaration });
    session.post("Runtime.releaseObject", { objectId: remote.objectId });
    const value = held;
    held = undefined;
    return value;
  }

  let run = null; // the piece of code under way: {began, timeout, settled, value, failed, error}

  function fail(error) {
    if (run && !run.failed) { run.failed = true; run.error = error; }
    else process.stderr.write(describe(error).text + "\n");
  }

  function describe(error) {
    if (!(error instanceof Error) && !util.types.isNativeError(error)) {
      return { name: "Uncaught", value: util.inspect(error), text: "Uncaught " + util.inspect(error) };
    }
    let stack = String(error.stack || error).split("\n");
    const ours = stack.findIndex((line) => line.includes("node:inspector") || line.includes("[eval]"));
    if (ours >= 0) stack = stack.slice(0, ours);
    return { name: error.name || "Error", value: error.message, text: stack.join("\n") };
  }

  function start(code, timeout) {
    const current = (run = {
      began: now(), timeout, settled: false, value: undefined, failed: false, error: undefined,
    });
    input.unref(); // from now on the loop ends when the code's own work does: `beforeExit`
    const parameters = {
      expression: code, replMode: true, awaitPromise: true, objectGroup: "agb",
      timeout: timeout + 200, // the agent's own limit comes first, and says so
    };
    session.post("Runtime.evaluate", parameters, (problem, answer) => {
      current.settled = true;
      if (run !== current) return;
      if (problem) { fail(problem); return; }
      if (answer.exceptionDetails) { fail(valueOf(answer.exceptionDetails.exception)); return; }
      current.value = valueOf(answer.result);
      if (util.types.isPromise(current.value)) {
        current.settled = false;
        current.value.then(
          (value) => { current.settled = true; current.value = value; },
          (error) => { current.settled = true; fail(error); },
        );
      }
    });
  }

  function finish() {
    if (!run) return;
    if (!run.settled && !run.failed) fail(new Error("the code awaits what nothing will ever settle"));
    if (run.failed) {
      const { name, value, text } = describe(run.error);
      send("error-name", name);
      send("error-value", value);
      send("error", text);
    } else if (run.value !== undefined) {
      send("text/plain", util.inspect(run.value));
      send("main");
    }
    run = null;
    input.ref();
    send("end");
  }

  process.on("beforeExit", finish);
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  // Code that does not stop computing is ended by the inspector. What else is under way can't be called back.
  // Node hears of a signal late: one that comes long before the time is up was meant for the code before.
  process.on("SIGINT", () => { if (run && !run.failed && now() - run.began > run.timeout / 2) exit(130); });

  const request = {};
  let pending = Buffer.alloc(0);
  const input = new net.Socket({ fd: requests, readable: true, writable: false });
  input.on("end", () => exit(0));
  input.on("data", (data) => {
    pending = Buffer.concat([pending, data]);
    for (let line; (line = pending.indexOf("\n")) >= 0;) {
      const [name, length] = pending.toString("latin1", 0, line).split(" ");
      const end = line + 1 + Number(length);
      if (pending.length < end) return;
      request[name] = pending.toString("utf8", line + 1, end);
      pending = pending.subarray(end);
      if (name === "code") start(request.code, Number(request.timeout));
    }
  });
  send("ready");
}
