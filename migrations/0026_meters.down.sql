drop table stripe_hour, stripe_meter;
