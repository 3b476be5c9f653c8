"""What the builds of each framework say: the words of real build logs, without times."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"] | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a build log. ``share`` (0..1) is how much of the build's time is over when it is written."""

    share: float
    text: str
    kind: Literal["command", "stdout", "stderr"] = "stdout"
    level: Level = None


_INFLIGHT = "npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory. Do not use it."
_RIMRAF = "npm warn deprecated rimraf@3.0.2: Rimraf versions prior to v4 are no longer supported"
_GLOB = "npm warn deprecated glob@7.2.3: Glob versions prior to v9 are no longer supported"
_DOMEXCEPTION = "npm warn deprecated node-domexception@1.0.0: Use your platform's native DOMException instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """How the builds of one framework go. ``builder`` is what Vercel builds it with."""

    detected: str
    command: str
    output: str
    """What the command prints when nothing goes wrong."""
    deprecations: tuple[str, ...]
    failure: str
    """What a failing build says, unless the scenario knows better."""
    builder: str = "@vercel/static-build"


_FRAMEWORKS: Mapping[str, Framework] = {
    "nextjs": Framework(
        builder="@vercel/next",
        detected="Detected Next.js version: 15.5.6",
        command="next build",
        output="""\
   ▲ Next.js 15.5.6

   Creating an optimized production build ...
 ✓ Compiled successfully in 8.2s
   Linting and checking validity of types ...
   Collecting page data ...
   Generating static pages (0/9) ...
 ✓ Generating static pages (9/9)
   Finalizing page optimization ...
   Collecting build traces ...

Route (app)                                 Size  First Load JS
┌ ○ /                                    5.41 kB         107 kB
├ ƒ /api/cart                              141 B         102 kB
├ ƒ /api/checkout                          141 B         102 kB
└ ƒ /products/[id]                       1.77 kB         104 kB
○  (Static)   prerendered as static content
ƒ  (Dynamic)  server-rendered on demand
""",
        deprecations=(
            _INFLIGHT,
            _RIMRAF,
            ' ⚠ The "images.domains" configuration is deprecated. Please use "images.remotePatterns" instead.',
        ),
        failure="Type error: Property 'total' does not exist on type 'Cart'.",
    ),
    "vite": Framework(
        detected="Detected Vite version: 7.1.12",
        command="vite build",
        output="""\
vite v7.1.12 building for production...
transforming...
✓ 1284 modules transformed.
rendering chunks...
computing gzip size...
dist/index.html                   0.46 kB │ gzip:  0.30 kB
dist/assets/index-C5mH2bq1.js   243.88 kB │ gzip: 78.12 kB
✓ built in 5.31s
""",
        deprecations=(_GLOB, "The CJS build of Vite's Node API is deprecated."),
        failure='error during build:\nRollup failed to resolve import "./cart" from "src/main.tsx".',
    ),
    "sveltekit": Framework(
        builder="@sveltejs/kit",
        detected="Detected SvelteKit version: 2.48.4",
        command="vite build",
        output="""\
vite v7.1.12 building SSR bundle for production...
✓ 212 modules transformed.
> Using @sveltejs/adapter-vercel
  ✔ done
""",
        deprecations=(_GLOB,),
        failure="Error: 500 /products (linked from /)",
    ),
    "nuxtjs": Framework(
        detected="Detected Nuxt version: 4.2.1",
        command="nuxt build",
        output="""\
[info] Building for Nitro preset: `vercel`
[success] Client built in 9120ms
[success] Server built in 5320ms
[success] [nitro] Generated public .vercel/output/static
[success] Build complete!
""",
        deprecations=(_DOMEXCEPTION,),
        failure="[error] [nuxt] Could not load `~/composables/useCart`.",
    ),
}
_OTHER = Framework(
    detected="No framework detected. Using default project settings.",
    command="node build.js",
    output="Compiled successfully\n",
    deprecations=(_INFLIGHT,),
    failure="Error: Cannot find module './config'",
)


def framework_named(name: str) -> Framework:
    """Return how builds of the framework *name* go; what is unknown builds like a plain Node.js project."""
    return _FRAMEWORKS.get(name, _OTHER)
