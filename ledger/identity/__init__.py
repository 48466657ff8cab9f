"""Who somebody is: workers, their ids and logins elsewhere, and the cases in which a person decides."""
