"""The words of a fleet: what projects are called, who commits what, and how it sounds when something breaks."""

THINGS = ("shop", "docs", "checkout", "search", "blog", "admin", "status", "billing", "login", "catalog", "media")
KINDS = ("web", "site", "app", "portal", "api", "frontend", "landing", "console")
FRAMEWORKS = ("nextjs", "nextjs", "nextjs", "sveltekit", "nuxtjs", "astro", "remix", "vite")
AUTHORS = (
    "Ada Lovelace",
    "Grace Hopper",
    "Alan Turing",
    "Barbara Liskov",
    "Edsger Dijkstra",
    "Frances Allen",
    "Ken Thompson",
    "Radia Perlman",
    "Donald Knuth",
    "Margaret Hamilton",
    "Leslie Lamport",
    "Sophie Wilson",
)
AREAS = ("cart", "search", "checkout", "header", "login", "prices", "images", "cache", "forms", "tracking", "emails")
CHANGES = (
    "keep what was typed after a failure",
    "load only what is visible",
    "upgrade the client library",
    "show prices in the visitor's currency",
    "remove the old code path",
    "retry once when the upstream is slow",
    "rename a field of the answer",
    "cache for a minute longer",
    "ask for the country first",
    "fix a typo",
)
BUG_MESSAGES = (
    "TypeError: Cannot read properties of undefined (reading 'currency')",
    "ReferenceError: window is not defined",
    "Error: connect ECONNREFUSED 10.0.3.17:5432",
    "PrismaClientInitializationError: Can't reach database server at `db:5432`",
    "Error: Missing required environment variable STRIPE_SECRET_KEY",
    "SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
    "RangeError: Maximum call stack size exceeded",
    "Error: Cannot find module './locales/de.json'",
    "TypeError: fetch failed: self-signed certificate in certificate chain",
    "Error: Hydration failed because the server rendered text didn't match the client",
)
NEW_KIND_MESSAGES = (
    "Error: P2024 Timed out fetching a new connection from the connection pool (limit: 5)",
    "Error: Invalid hook call. Hooks can only be called inside of the body of a function component",
    'ZodError: [{"code":"invalid_type","expected":"string","path":["sku"]}]',
    "AbortError: This operation was aborted after 10000 ms",
    "Error: Text content does not match server-rendered HTML",
)
COLD_START_MESSAGES = (
    "Task timed out after 10.00 seconds",
    "Error: Runtime exited with error: signal: killed, Runtime.ExitError",
)
UPSTREAM_MESSAGES = (
    "Error: upstream payment provider answered 503",
    "FetchError: request to https://cms.example.com/v1/pages failed, reason: ETIMEDOUT",
    "Error: getaddrinfo EAI_AGAIN auth.example.com",
)
BUILD_WARNINGS = (
    "warning: package.json: No license field",
    "Warning: Next.js inferred your workspace root, but it may not be correct.",
    "(node:42) [DEP0040] DeprecationWarning: The `punycode` module is deprecated.",
    "./components/Price.tsx 12:7  Warning: React Hook useEffect has a missing dependency: 'currency'.",
    "npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory.",
)
VARIABLES = ("DATABASE_URL", "STRIPE_SECRET_KEY", "AUTH_SECRET", "CMS_TOKEN", "NEXT_PUBLIC_SITE_URL")
BUILD_ERRORS = (
    "Type error: Property 'currency' does not exist on type 'Cart'.",
    "Module not found: Can't resolve '@/lib/prices'",
    'Error: Command "npm run build" exited with 137 (out of memory)',
)
BOT_PATHS = ("/wp-login.php", "/.env", "/xmlrpc.php")
