"""Who may do what, and how much. Sans-IO; decisions are pure functions of policy and facts."""
