"""What keeps calls going: one session a call, one manager, one journal."""
