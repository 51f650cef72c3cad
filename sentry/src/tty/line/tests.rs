use abi::signal::Signal;
use abi::uapi::general as flag;

use super::Line;

fn read(line: &mut Line) -> Option<Vec<u8>> {
    let mut buf = [0; 100];
    line.read(&mut buf).map(|count| buf[..count].to_vec())
}

#[test]
fn a_line_is_read_when_it_is_complete() {
    let mut line = Line::default();
    line.receive(b"hel");
    assert_eq!(read(&mut line), None);
    line.receive(b"lo\rnext");
    assert_eq!(read(&mut line).unwrap(), b"hello\n");
    assert_eq!(read(&mut line), None);
    assert_eq!(line.take_echo(), b"hello\r\nnext");
}

#[test]
fn end_of_file_gives_what_is_there_and_then_nothing() {
    let mut line = Line::default();
    line.receive(b"ab\x04\x04");
    assert_eq!(read(&mut line).unwrap(), b"ab");
    assert_eq!(read(&mut line).unwrap(), b"");
    assert_eq!(read(&mut line), None);
}

#[test]
fn erase_takes_characters_off_line_and_screen() {
    let mut line = Line::default();
    line.receive(b"ab\x7f\x7f\x7fc\n");
    assert_eq!(read(&mut line).unwrap(), b"c\n");
    assert_eq!(line.take_echo(), b"ab\x08 \x08\x08 \x08c\r\n");
}

#[test]
fn word_erase_and_kill_work_back_from_the_end() {
    let mut line = Line::default();
    line.receive(b"one two  \x17x\n");
    assert_eq!(read(&mut line).unwrap(), b"one x\n");
    line.receive(b"gone\x15y\n");
    assert_eq!(read(&mut line).unwrap(), b"y\n");
}

#[test]
fn erasing_a_tab_moves_back_to_where_it_began() {
    let mut line = Line::default();
    line.receive(b"a\t\x7f");
    assert_eq!(line.take_echo(), b"a\t\x08\x08\x08\x08\x08\x08\x08");
}

#[test]
fn the_interrupt_key_signals_and_drops_the_line() {
    let mut line = Line::default();
    let received = line.receive(b"junk\x03");
    assert_eq!(received.signals, [Signal::SIGINT]);
    assert!(received.flushed);
    assert_eq!(line.take_echo(), b"^C");
    line.receive(b"\n");
    assert_eq!(read(&mut line).unwrap(), b"\n");
}

#[test]
fn stop_and_start_hold_the_echo() {
    let mut line = Line::default();
    assert_eq!(line.receive(b"\x13a").flow, Some(true));
    assert_eq!(line.take_echo(), b"");
    assert_eq!(line.receive(b"\x11").flow, Some(false));
    assert_eq!(line.take_echo(), b"a");
}

#[test]
fn a_literal_key_loses_its_meaning() {
    let mut line = Line::default();
    assert!(line.receive(b"\x16\x03\n").signals.is_empty());
    assert_eq!(read(&mut line).unwrap(), b"\x03\n");
}

#[test]
fn leaving_canonical_mode_frees_the_line_and_entering_ends_it() {
    let mut line = Line::default();
    line.receive(b"abc");
    let mut termios = *line.termios();
    termios.c_lflag &= !flag::ICANON;
    line.set_termios(termios);
    assert_eq!(line.available(), 3);
    let mut two = [0; 2];
    assert_eq!(line.read(&mut two), Some(2));
    termios.c_lflag |= flag::ICANON;
    line.set_termios(termios);
    assert_eq!(read(&mut line).unwrap(), b"c");
    assert_eq!(read(&mut line), None);
}

#[test]
fn an_overlong_line_is_cut_but_can_be_ended() {
    let mut line = Line::default();
    line.receive(&[b'x'; 5000]);
    line.receive(b"\n");
    assert_eq!(line.available(), 4096);
}

#[test]
fn output_is_processed_by_its_flags() {
    let mut line = Line::default();
    let mut out = Vec::new();
    b"a\tb\n".iter().for_each(|&byte| line.process(byte, &mut out));
    assert_eq!(out, b"a\tb\r\n");
    let mut termios = *line.termios();
    termios.c_oflag |= flag::TAB3;
    line.set_termios(termios);
    out.clear();
    b"a\tb".iter().for_each(|&byte| line.process(byte, &mut out));
    assert_eq!(out, b"a       b");
}
