import { testFault } from "./database/fault.ts";

testFault({
  name: "the server is stopped (fast)",
  begin: ({ server }) => server.stop("fast"),
  outage: ["CONNECTION_REFUSED"],
  end: ({ server }) => server.start(),
});

testFault({
  name: "the server is stopped (immediate)",
  begin: ({ server }) => server.stop("immediate"),
  outage: ["CONNECTION_REFUSED"],
  end: ({ server }) => server.start(),
});

testFault({
  name: "the server is killed",
  begin: ({ server }) => server.kill(),
  outage: ["CONNECTION_REFUSED"],
  end: ({ server }) => server.start(),
});

testFault({
  name: "the server is frozen",
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
