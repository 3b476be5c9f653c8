"""The detector `evidence`: a betting test of bucket error rates with a prior on the onset, inside fixed gates.

`buckets` merges polls, `baseline` learns the limit, `betting` gathers evidence against it, `cusum` dates the onset,
`gates` decide, `trial` is one activation under test, `docket` holds all of a project, `detector` speaks to the core.
"""
