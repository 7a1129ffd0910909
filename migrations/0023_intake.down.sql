drop index usage_line_hour;
alter table usage_intake detach partition usage_line;
drop table usage_intake;
drop function usage_intake_fence();
create index usage_line_hour on usage_line (hour);
