import { EmbeddedServer } from "../../dev/postgres/server.ts";
import { clearAbandonedDirectories, TestDirectory } from "./postgres_directory.ts";
import type { TestPostgresOptions } from "./postgres_server.ts";
import { copyTemplateCluster, SUPERUSER_PASSWORD, TEST_SETTINGS } from "./postgres_template.ts";

/** Starts a PostgreSQL from npm on a copy of the template cluster. */
export async function startEmbedded(
  { settings, onLog }: TestPostgresOptions,
  cleanup: AsyncDisposableStack,
): Promise<EmbeddedServer> {
  await clearAbandonedDirectories();
  const directory = cleanup.use(await TestDirectory.make());
  await copyTemplateCluster(directory.path);
  const server = cleanup.use(
    new EmbeddedServer({
      directory: directory.path,
      name: directory.serverName,
      password: SUPERUSER_PASSWORD,
      settings: { ...TEST_SETTINGS, ...settings },
      ...(onLog !== undefined && { onLog }),
    }),
  );
  await server.start();
  return server;
}
