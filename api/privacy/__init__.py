"""What people may ask about their data: a copy of all of it, its end, how long it is kept, and who answers for it."""
