// Parses answers as @vercel/sdk does. Argument: the folder with node_modules. Standard input: a JSON array of
// {"module", "parser", "body"}; prints an array with, for each, {"value"} or {"error"}.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const models = `${process.argv[2]}/node_modules/@vercel/sdk/esm/models`;
const parsed = [];
for (const { module, parser, body } of JSON.parse(readFileSync(0, "utf8"))) {
  const { [parser]: parse } = await import(pathToFileURL(`${models}/${module}.js`));
  const { ok, value, error } = parse(JSON.stringify(body));
  parsed.push(ok ? { value } : { error: String(error.message ?? error).slice(0, 300) });
}
process.stdout.write(JSON.stringify(parsed));
