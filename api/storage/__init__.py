"""Named objects in a folder or a bucket, each whole or absent: where backups and files lie."""
