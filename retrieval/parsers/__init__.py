"""One file per format; the folder is the registry (`retrieval.formats` reads it)."""
