drop table feed_revision;
