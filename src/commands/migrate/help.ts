export const HELP = `Usage: deno task migrate <command> [options]

Changes the schema
  up [N]        apply the next N migrations, or all
  down [N]      revert the last N migrations, or all (--all says so too), after asking
  goto V        apply or revert until the schema has version V

Looks at it
  version       print the version of the schema
  status        print every version: applied, pending, dirty, missing or late

Repairs it
  force V       say that the schema has version V (-1 for none) and is not dirty; runs nothing
  drop          drop everything in the schema, after asking

Writes files
  create NAME   make an empty pair of files with the next number

Options
  --dry-run           up, down, goto: only say what would be done
  --yes, -y           down, drop: do not ask
  --lock-timeout N    wait at most N seconds for another process that migrates (default 15)
  --path FOLDER       folder of the migrations (default: the service's own)
  --help, -h          print this

Exit codes
  0    done, also when there was nothing to do
  1    failed, or not confirmed; "status" when the schema is dirty or a file is surprising
  2    wrong arguments or settings; nothing was begun
  130  stopped by a signal; the message says whether the schema is dirty

The database is the one that the service would use: see docs/configuration.md. More about
migrations is in docs/migrations.md.`;
