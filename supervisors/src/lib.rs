//! Supervised actors: restart in place, bounded mailboxes, a tree that can be watched.
