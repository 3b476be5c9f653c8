"""lastgood: takes a Vercel project's production back to the last good deployment, and proves that it helped."""

__version__ = "0.1.0"
