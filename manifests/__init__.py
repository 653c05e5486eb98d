"""What goes in and what came out: manifest, sources, plan, chunks, ledger, export."""
