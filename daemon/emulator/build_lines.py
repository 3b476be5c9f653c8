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


@dataclass(frozen=True, slots=True)
class Framework:
    """How the builds of one framework go. ``builder`` is what Vercel builds it with."""

    builder: str
    detected: str
    command: str
    output: tuple[str, ...]
    deprecations: tuple[str, ...]
    failure: str
    """What a failing build says, unless the scenario knows better."""


_NEXT = Framework(
    builder="@vercel/next",
    detected="Detected Next.js version: 15.5.6",
    command="next build",
    output=(
        "   ▲ Next.js 15.5.6",
        "",
        "   Creating an optimized production build ...",
        " ✓ Compiled successfully in 8.2s",
        "   Linting and checking validity of types ...",
        "   Collecting page data ...",
        "   Generating static pages (0/9) ...",
        " ✓ Generating static pages (9/9)",
        "   Finalizing page optimization ...",
        "   Collecting build traces ...",
        "",
        "Route (app)                                 Size  First Load JS",
        "┌ ○ /                                    5.41 kB         107 kB",
        "├ ƒ /api/cart                              141 B         102 kB",
        "├ ƒ /api/checkout                          141 B         102 kB",
        "└ ƒ /products/[id]                       1.77 kB         104 kB",
        "○  (Static)   prerendered as static content",
        "ƒ  (Dynamic)  server-rendered on demand",
    ),
    deprecations=(
        "npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory. Do not use it.",
        "npm warn deprecated rimraf@3.0.2: Rimraf versions prior to v4 are no longer supported",
        ' ⚠ The "images.domains" configuration is deprecated. Please use "images.remotePatterns" instead.',
    ),
    failure="Type error: Property 'total' does not exist on type 'Cart'.",
)
_VITE = Framework(
    builder="@vercel/static-build",
    detected="Detected Vite version: 7.1.12",
    command="vite build",
    output=(
        "vite v7.1.12 building for production...",
        "transforming...",
        "✓ 1284 modules transformed.",
        "rendering chunks...",
        "computing gzip size...",
        "dist/index.html                   0.46 kB │ gzip:  0.30 kB",
        "dist/assets/index-C5mH2bq1.js   243.88 kB │ gzip: 78.12 kB",
        "✓ built in 5.31s",
    ),
    deprecations=(
        "npm warn deprecated glob@7.2.3: Glob versions prior to v9 are no longer supported",
        "The CJS build of Vite's Node API is deprecated.",
    ),
    failure='error during build:\nRollup failed to resolve import "./cart" from "src/main.tsx".',
)
_SVELTEKIT = Framework(
    builder="@sveltejs/kit",
    detected="Detected SvelteKit version: 2.48.4",
    command="vite build",
    output=(
        "vite v7.1.12 building SSR bundle for production...",
        "✓ 212 modules transformed.",
        "> Using @sveltejs/adapter-vercel",
        "  ✔ done",
    ),
    deprecations=("npm warn deprecated glob@7.2.3: Glob versions prior to v9 are no longer supported",),
    failure="Error: 500 /products (linked from /)",
)
_NUXT = Framework(
    builder="@vercel/static-build",
    detected="Detected Nuxt version: 4.2.1",
    command="nuxt build",
    output=(
        "[info] Building for Nitro preset: `vercel`",
        "[success] Client built in 9120ms",
        "[success] Server built in 5320ms",
        "[success] [nitro] Generated public .vercel/output/static",
        "[success] Build complete!",
    ),
    deprecations=("npm warn deprecated node-domexception@1.0.0: Use your platform's native DOMException instead",),
    failure="[error] [nuxt] Could not load `~/composables/useCart`.",
)
_OTHER = Framework(
    builder="@vercel/static-build",
    detected="No framework detected. Using default project settings.",
    command="node build.js",
    output=("Compiled successfully",),
    deprecations=(
        "npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory. Do not use it.",
    ),
    failure="Error: Cannot find module './config'",
)
_FRAMEWORKS: Mapping[str, Framework] = {"nextjs": _NEXT, "vite": _VITE, "sveltekit": _SVELTEKIT, "nuxtjs": _NUXT}


def framework_named(name: str) -> Framework:
    """Return how builds of the framework *name* go; what is unknown builds like a plain Node.js project."""
    return _FRAMEWORKS.get(name, _OTHER)
