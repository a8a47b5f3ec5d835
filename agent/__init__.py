"""What a turn does when it is more than one model call: sources put into a prompt, citations read from an answer.

It is handed what it needs as functions and knows no HTTP, no SQL and no Ray.
"""
