"""The one page there is before the web chat: where links of invitations and mails lead."""
