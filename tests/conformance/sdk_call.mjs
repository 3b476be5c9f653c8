// Calls one method of @vercel/sdk and prints what it resolves to, or how it fails, as JSON.
// Arguments: the folder with node_modules, the server's URL, the token, the method (`projects.getProject`), its request,
// its options. In a request, {"$bytes": "…"} stands for the bytes of a text.
import { pathToFileURL } from "node:url";

const [clients, serverURL, bearerToken, method, request, options] = process.argv.slice(2);
const [name, group = "sdk"] = method.split(".").reverse();
// The class of one group is what `new Vercel(…).projects` gives; importing the whole SDK would take seconds a call.
// A call without a group is a method of the whole SDK.
const module = `${clients}/node_modules/@vercel/sdk/esm/sdk/${group.toLowerCase()}.js`;
const [Group] = Object.values(await import(pathToFileURL(module)));
const revived = (_, value) => (value?.$bytes === undefined ? value : new TextEncoder().encode(value.$bytes));
try {
  const value = await new Group({ bearerToken, serverURL })[name](JSON.parse(request, revived), JSON.parse(options));
  process.stdout.write(JSON.stringify({ value: value ?? null }));
} catch (error) {
  const { name: kind, message, statusCode } = error;
  process.stdout.write(JSON.stringify({ error: { kind, message: String(message).slice(0, 2000), statusCode } }));
}
