-- Calls that a start of a node reported of a time to come: its clock is ahead. They count in
-- the hour in which they came in.
alter table usage_boot add column ahead bigint not null default 0;
