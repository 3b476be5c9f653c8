"""The real platform: Vercel's HTTP API as reads of production and one verb that moves it."""
