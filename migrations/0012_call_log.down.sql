drop table call_boot;
drop table call_left;
drop table call_log;
