// A program that receives Vercel's webhooks and drains, in a language that the emulator is not written in: it checks
// each signature by node's own crypto, unpacks the body and prints, one JSON line each, what it got.
// First line: {"port"}. Standard input: JSON lines {"path", "secret", "statuses", "verify"} that say what
// to check at a path, what to answer (0 hangs up; 200 after that) and which code to send back; {"told"} acknowledges.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { gunzipSync } from "node:zlib";

const told = new Map();
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function isSigned(secret, raw, header) {
  const wanted = Buffer.from(createHmac("sha1", secret).update(raw).digest("hex"));
  const given = Buffer.from(header ?? "");
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}

function unpacked(headers, raw) {
  const text = (headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw).toString("utf8");
  if (headers["content-type"] === "application/json") return JSON.parse(text);
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const raw = Buffer.concat(chunks);
    const { secret, statuses = [], verify } = told.get(request.url) ?? {};
    const signed = secret === undefined ? null : isSigned(secret, raw, request.headers["x-vercel-signature"]);
    const status = statuses.shift() ?? 200;
    const { method, url: path, headers } = request;
    print({ method, path, headers, signed, status, raw: raw.toString("base64"), body: unpacked(headers, raw) });
    if (status === 0) return request.socket.destroy();
    response.writeHead(status, verify === undefined ? {} : { "x-vercel-verify": verify });
    response.end();
  });
});

createInterface({ input: process.stdin }).on("line", (line) => {
  const { path, ...rest } = JSON.parse(line);
  told.set(path, rest);
  print({ told: path });
});
process.stdin.on("end", () => process.exit(0));
server.listen(0, "127.0.0.1", () => print({ port: server.address().port }));
