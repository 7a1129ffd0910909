drop table link_target;
