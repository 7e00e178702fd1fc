-- What the webhook of a budget is signed with; empty: it isn't, as those of budgets from before until they ask for one.
ALTER TABLE budgets ADD webhook_secret text NOT NULL DEFAULT '';
