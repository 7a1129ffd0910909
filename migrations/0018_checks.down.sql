drop table book_check;
