-- What tells a revision from another of the same number: a restored backup counts its
-- revisions once more, and a node that has a later one must not take them for those it has.
create table feed_revision (
  rev bigint primary key,
  stamp uuid not null default gen_random_uuid()
);
insert into feed_revision (rev) select rev from feed_head;
