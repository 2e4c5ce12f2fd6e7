use Socket;
socket(my $journal, PF_UNIX, SOCK_DGRAM, 0) or die;
connect($journal, sockaddr_un("/run/systemd/journal/socket")) or die;

# The native protocol of the journal: the name, the length, the value.
sub say_it {
    my ($message, $more) = @_;
    send($journal, "MESSAGE\n" . pack("Q<", length $message) . $message . "\n$more", 0) or die;
}

say_it("bytes \xff here", "PRIORITY=3\n");
say_it("first\nsecond", "");
say_it("long " . "x" x 150_000, "");
# Until the journal has looked whose lines these are.
sleep 1;
