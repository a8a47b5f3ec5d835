"""What `manta doctor` looks at, one subject per file. Each check only looks; none changes anything."""
