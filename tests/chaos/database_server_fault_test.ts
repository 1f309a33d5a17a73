import { testFault } from "./database/fault.ts";

/** How a server that shuts down ends its sessions, and refuses new ones. */
const FAREWELLS = ["CONNECTION_LOST", "SERVER_SHUTTING_DOWN", "SERVER_STARTING"] as const;

testFault({
  name: "the server is stopped (fast)",
  begin: ({ server }) => server.stop("fast"),
  outage: ["CONNECTION_REFUSED"],
  signs: FAREWELLS,
  end: ({ server }) => server.start(),
});

testFault({
  name: "the server is stopped (immediate)",
  begin: ({ server }) => server.stop("immediate"),
  outage: ["CONNECTION_REFUSED"],
  signs: FAREWELLS,
  end: ({ server }) => server.start(),
});

testFault({
  name: "the server is killed",
  begin: ({ server }) => server.kill(),
  outage: ["CONNECTION_REFUSED"],
  signs: ["CONNECTION_LOST"],
  end: ({ server }) => server.start(),
});

testFault({
  name: "the server is frozen",
  silence: true,
  begin: ({ server }) => server.freeze(),
  outage: ["PING_TIMEOUT", "CONNECT_TIMEOUT"],
  end: ({ server }) => server.resume(),
});

testFault({
  name: "the server is killed and comes back, again and again",
  async begin({ server, load }) {
    for (let round = 0; round < 3; round++) {
      await server.kill();
      await load.transfers.more("failed", 5);
      await server.start();
      await load.transfers.more("committed", 5);
    }
  },
});
