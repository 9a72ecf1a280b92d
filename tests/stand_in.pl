#!/usr/bin/perl
# Behaves like a coding agent in a terminal, after a script: it prompts, takes pastes and keys, shows a spinner, asks for
# permissions, writes long output, keeps a transcript, and calls the hooks of the settings file that --settings names, as
# Claude Code does. What a message's first word makes it do:
#   work           at work until there is a file "go"
#   ask WORDS   asks for a permission first                long COUNT   so many lines
#   question       answers with one   end CODE    exits with it                  anything else is heard
# Every message goes byte for byte to a file of its own, messages/NUMBER.
use strict;
use warnings;
use JSON::PP;
use Digest::MD5 qw(md5_hex);
use Time::HiRes qw(time);

my %hooks;
my @arguments = @ARGV;
while (@ARGV) {
    next unless shift(@ARGV) eq '--settings';
    open(my $file, '<', shift @ARGV) or die "no settings: $!";
    local $/;
    %hooks = %{ decode_json(<$file>)->{hooks} };
}

my $home = "$ENV{HOME}/.stand-in/$ENV{MNGR_AGENT_NAME}";
system('mkdir', '-p', "$home/messages");
my $transcript = "$home/session.jsonl";

sub hook {
    my ($event, %more) = @_;
    my $input = encode_json({ hook_event_name => $event, transcript_path => $transcript, cwd => '.', %more });
    for my $group (@{ $hooks{$event} || [] }) {
        for my $one (@{ $group->{hooks} }) {
            open(my $pipe, '|-', $one->{command}) or die "hook: $!";
            print $pipe $input;
            close $pipe;
        }
    }
}

sub note {
    my ($role, $text) = @_;
    open(my $file, '>>', $transcript) or die "transcript: $!";
    print $file encode_json({ type => $role, timestamp => time, message => { role => $role, content => $text } }), "\n";
    close $file;
}

sub show { syswrite STDOUT, join('', @_) }
sub prompt { show("\r\e[K\xe2\x9d\xaf ") }

my ($typed, $pasting, $shown, $heard) = ('', 0, 0, 0);
my (@queue, $busy, $asking, $spin, $todo);

sub reply {
    my ($text) = @_;
    note('assistant', $text);
    (my $lines = $text) =~ s/\n/\r\n/g;
    show("\r\e[K\xe2\x97\x8f $lines\r\n");
    hook('Stop');
    prompt();
}

sub begin {
    my ($text) = @_;
    $heard++;
    open(my $file, '>:raw', "$home/messages/$heard") or die "message: $!";
    print $file $text;
    close $file;
    show("\r\e[K\xe2\x9d\xaf ", length($text) > 200 ? sprintf('[pasted %d bytes]', length $text) : $text =~ s/\n/\r\n  /gr, "\r\n");
    hook('UserPromptSubmit', prompt => '');
    note('user', length($text) > 10_000 ? sprintf('[%d bytes]', length $text) : $text);
    my ($word, $rest) = split / /, $text, 2;
    $rest //= '';
    if ($word eq 'work') { $busy = 1; }
    elsif ($word eq 'ask') {
        $asking = $rest;
        hook('PreToolUse', tool_name => 'Bash');
        hook('PermissionRequest', tool_name => 'Bash');
        show("Do you want to run this?\r\n  $rest\r\n\xe2\x9d\xaf 1. Yes\r\n  2. No\r\n");
    }
    elsif ($word eq 'long') { reply(join("\n", map { "line $_ of $rest" } 1 .. $rest)); }
    elsif ($word eq 'question') { reply("Do you want to keep both?\n1. Yes\n2. No"); }
    elsif ($word eq 'end') { exit($rest || 0); }
    elsif ($word eq 'arguments') { reply(join(' ', @arguments)); }
    else { reply(sprintf('heard %d bytes with digest %s', length $text, md5_hex($text))); }
}

sub key {
    my ($key) = @_;
    if ($asking && $key =~ /[12]/) {
        my $what = $asking;
        $asking = undef;
        show("\e[5A\e[J");
        hook('PostToolUse', tool_name => 'Bash') if $key eq '1';
        if ($key eq '1') { reply("did $what"); }
        else { prompt(); }
    }
    elsif ($key eq "\r") {
        push @queue, $typed if length $typed;
        ($typed, $shown) = ('', 0);
    }
    elsif ($key eq "\e") {
        $busy = 0;
        show("\r\e[KInterrupted\r\n");
        prompt();
    }
    elsif ($key eq "\x03") { exit 130; }
    elsif (!$asking) { $typed .= $key; show($key); }
}

system('stty', 'raw', '-echo');
END { local $?; show("\e[?2004l"); system('stty', 'sane') }
$SIG{TERM} = sub { exit 143 };
show("\e[?2004h", "A stand-in for an agent\r\n");
hook('SessionStart');
prompt();

my $input = '';
while (1) {
    my $ready = '';
    vec($ready, 0, 1) = 1;
    if (select($ready, undef, undef, 0.1)) {
        sysread(STDIN, $input, 1 << 16, length $input) or exit 0;
        while (length $input) {
            if ($pasting) {
                my $end = index($input, "\e[201~");
                if ($end < 0) {
                    # The end may have arrived in part.
                    my $sure = length($input) - 5;
                    last if $sure <= 0;
                    $typed .= substr($input, 0, $sure, '');
                    last;
                }
                $typed .= substr($input, 0, $end, '');
                substr($input, 0, 6, '');
                $pasting = 0;
                show(length($typed) > 200 ? sprintf('[pasted %d bytes]', length $typed) : $typed =~ s/\n/ /gr);
            }
            elsif (index($input, "\e[200~") == 0) { substr($input, 0, 6, ''); $pasting = 1; }
            elsif (length($input) > 1 && length($input) < 6 && index("\e[200~", $input) == 0) { last; }
            else { key(substr($input, 0, 1, '')); }
        }
    }
    if ($busy) {
        if (unlink "$home/go") { $busy = 0; reply('done'); }
        else { show(sprintf("\r\e[K%s Working (esc to interrupt)", qw(- \\ | /)[ $spin++ % 4 ])); }
    }
    begin(shift @queue) if @queue && !$busy && !defined $asking;
}
