"""The receiver of Vercel's log drains: signed batches of entries in, counts per deployment and ten seconds out."""
