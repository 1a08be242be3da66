"""SIP transactions: four tables, one machine that runs them, one layer that finds them."""
