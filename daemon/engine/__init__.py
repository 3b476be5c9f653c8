"""The imperative shell: gathers, lets the core decide, commits, carries out. Few ifs, many awaits."""
