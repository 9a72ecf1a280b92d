# Tries each address by TCP, UDP, DNS and ICMP, all at the same time, and prints those that answered: "tcp 192.0.2.1".
use strict; use warnings;
use IO::Select; use IO::Socket::IP; use Socket qw(:DEFAULT getaddrinfo AF_INET6);
my $seconds = 2;
my %try = (
    tcp => sub {
        my $s = IO::Socket::IP->new(PeerHost => $_[0], PeerPort => 7007, Proto => "tcp", Timeout => $seconds) or return;
        return answer($s) eq "tcp";
    },
    udp => sub {
        my $s = IO::Socket::IP->new(PeerHost => $_[0], PeerPort => 7007, Proto => "udp") or return;
        return defined send($s, "x", 0) && answer($s) eq "udp";
    },
    dns => sub {
        my $s = IO::Socket::IP->new(PeerHost => $_[0], PeerPort => 53, Proto => "udp") or return;
        my $query = pack("nnnnnn", 4711, 0x0100, 1, 0, 0, 0) . "\x07example\x03com\x00" . pack("nn", 1, 1);
        return defined send($s, $query, 0) && substr(answer($s), 0, 2) eq pack("n", 4711);
    },
    icmp => sub {
        my ($six) = $_[0] =~ /:/;
        my ($error, $where) = getaddrinfo($_[0], "", { socktype => SOCK_RAW });
        return if $error;
        # A raw socket where it is allowed, else the kernel's own kind for echo requests.
        my $s;
        my $protocol = $six ? 58 : 1;
        my $family = $six ? AF_INET6 : AF_INET;
        socket($s, $family, SOCK_RAW, $protocol) or socket($s, $family, SOCK_DGRAM, $protocol) or return "impossible";
        my $echo = pack("CCnnn", $six ? 128 : 8, 0, 0, $$ & 0xffff, 1);
        my $sum = 0; $sum += $_ for unpack("n*", $echo); $sum = ($sum & 0xffff) + ($sum >> 16);
        substr($echo, 2, 2) = pack("n", ~$sum & 0xffff);
        return unless defined send($s, $echo, 0, $where->{addr});
        my $until = time + $seconds;
        while (time <= $until) {
            my $data = answer($s) or return;
            my $type = ord substr($data, !$six && ord($data) >> 4 == 4 ? 20 : 0, 1);
            return 1 if $type == ($six ? 129 : 0);
        }
        return;
    },
);
sub answer {
    my ($s) = @_;
    return "" unless IO::Select->new($s)->can_read($seconds);
    my $data = "";
    recv($s, $data, 1500, 0);
    return $data;
}
$| = 1;
for my $address (@ARGV) {
    for my $name (sort keys %try) {
        next if fork;
        my $found = $try{$name}->($address);
        print "$name $address", $found eq "1" ? "" : " ($found)", "\n" if $found;
        exit;
    }
}
1 while wait != -1;
