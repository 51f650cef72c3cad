//! Extended state: kept across hands and stops, in signal frames, in threads and forks.

use crate::Case;
use crate::guest::{CODE, DATA, Guest, wait_event};
use platform::{Context, Event, Platform, Prot};

pub const CASES: &[Case] = &[
    ("vector_registers_survive_stops_and_hands", vector_registers_survive_stops_and_hands),
    ("saving_writes_a_signal_frame_image_and_resets", saving_writes_a_signal_frame_image_and_resets),
    ("what_was_saved_can_be_restored", what_was_saved_can_be_restored),
    ("an_edited_image_is_what_the_guest_gets", an_edited_image_is_what_the_guest_gets),
    ("restoring_from_zero_gives_the_initial_state", restoring_from_zero_gives_the_initial_state),
    ("an_image_without_magic_restores_the_legacy_part", an_image_without_magic_restores_the_legacy_part),
    ("hostile_images_are_refused_or_harmless", hostile_images_are_refused_or_harmless),
    ("threads_and_forks_inherit_extended_state", threads_and_forks_inherit_extended_state),
];

/// movups xmm3, [rsi]; syscall; movups [rdi], xmm3; stmxcsr [rdi+16]; fnstcw [rdi+20]; syscall
const LOAD_CALL_STORE: &[u8] =
    &[0x0f, 0x10, 0x1e, 0x0f, 0x05, 0x0f, 0x11, 0x1f, 0x0f, 0xae, 0x5f, 0x10, 0xd9, 0x7f, 0x14, 0x0f, 0x05];
const PATTERN: [u8; 16] = *b"0123456789abcdef";
const FRAME: u64 = 0x7000_0000;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;

/// A guest that has loaded the pattern into xmm3 and stands after its first call.
fn loaded(platform: &dyn Platform) -> Guest<'_> {
    let mut guest = Guest::new(platform, LOAD_CALL_STORE);
    guest.context.write(DATA, &PATTERN).unwrap();
    guest.context.map_anonymous(FRAME, 0x8000, Prot::READ_WRITE, false).unwrap();
    (guest.context.regs_mut().rsi, guest.context.regs_mut().rdi) = (DATA, DATA + 0x100);
    assert_eq!(guest.run(), Event::Syscall);
    guest
}

/// Lets it store what it finds in xmm3, MXCSR and the x87 control word.
fn stored(platform: &dyn Platform, context: &mut dyn Context) -> ([u8; 16], u32, u16) {
    context.regs_mut().rip = CODE + 5;
    context.resume();
    assert_eq!(wait_event(platform, context), Ok(Event::Syscall));
    let mut bytes = [0; 24];
    context.read(DATA + 0x100, &mut bytes).unwrap();
    let mxcsr = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
    (bytes[..16].try_into().unwrap(), mxcsr, u16::from_le_bytes([bytes[20], bytes[21]]))
}

fn image(guest: &mut Guest<'_>) -> Vec<u8> {
    let mut image = vec![0; guest.context.xstate_size()];
    guest.context.read(FRAME, &mut image).unwrap();
    image
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn vector_registers_survive_stops_and_hands(platform: &dyn Platform) {
    let mut guest = loaded(platform);
    guest.context.write(DATA + 0x800, &[1; 2000]).unwrap();
    guest.context.map_anonymous(0x7100_0000, 0x1000, Prot::READ, false).unwrap();
    guest.context.compare_exchange(DATA + 0x800, 0, 1).unwrap();
    let _child = guest.context.fork().unwrap();
    let _thread = guest.context.clone_thread().unwrap();
    assert_eq!(stored(platform, &mut *guest.context), (PATTERN, 0x1f80, 0x37f));
}

fn saving_writes_a_signal_frame_image_and_resets(platform: &dyn Platform) {
    let mut guest = loaded(platform);
    guest.context.save_xstate(FRAME).unwrap();
    let image = image(&mut guest);
    assert_eq!(image[160 + 48..160 + 64], PATTERN, "xmm3 in the fxsave image");
    assert_eq!(word(&image, 24), 0x1f80);
    if image.len() > 512 {
        assert_eq!(word(&image, 464), MAGIC1);
        assert_eq!(word(&image, 468) as usize, image.len());
        let size = word(&image, 480) as usize;
        assert_eq!(size + 4, image.len());
        assert_eq!(word(&image, size), MAGIC2);
        assert_eq!(word(&image, 472) & 3, 3, "xfeatures");
        assert_eq!(word(&image, 512) & 2, 2, "SSE is in use in xstate_bv");
    }
    assert_eq!(stored(platform, &mut *guest.context), ([0; 16], 0x1f80, 0x37f));
    assert!(guest.context.save_xstate(0x1000).is_err());
}

fn what_was_saved_can_be_restored(platform: &dyn Platform) {
    let mut guest = loaded(platform);
    guest.context.save_xstate(FRAME).unwrap();
    assert_eq!(stored(platform, &mut *guest.context).0, [0; 16]);
    guest.context.restore_xstate(FRAME).unwrap();
    assert_eq!(stored(platform, &mut *guest.context).0, PATTERN);
    assert!(guest.context.restore_xstate(0x1000).is_err());
    assert_eq!(
        stored(platform, &mut *guest.context).0,
        PATTERN,
        "a failed restore changes nothing visible or the guest dies"
    );
}

fn an_edited_image_is_what_the_guest_gets(platform: &dyn Platform) {
    let mut guest = loaded(platform);
    guest.context.save_xstate(FRAME).unwrap();
    guest.context.write(FRAME + 160 + 48, b"fedcba9876543210").unwrap();
    guest.context.write(FRAME + 24, &0x1fa0u32.to_le_bytes()).unwrap();
    guest.context.restore_xstate(FRAME).unwrap();
    let (xmm, mxcsr, _) = stored(platform, &mut *guest.context);
    assert_eq!((&xmm, mxcsr), (b"fedcba9876543210", 0x1fa0));
}

fn restoring_from_zero_gives_the_initial_state(platform: &dyn Platform) {
    let mut guest = loaded(platform);
    guest.context.restore_xstate(0).unwrap();
    assert_eq!(stored(platform, &mut *guest.context), ([0; 16], 0x1f80, 0x37f));
}

fn an_image_without_magic_restores_the_legacy_part(platform: &dyn Platform) {
    let mut guest = loaded(platform);
    guest.context.save_xstate(FRAME).unwrap();
    guest.context.write(FRAME + 464, &[0; 48]).unwrap();
    guest.context.restore_xstate(FRAME).unwrap();
    assert_eq!(stored(platform, &mut *guest.context).0, PATTERN);
    // The magic at the end missing has the same effect.
    let mut guest = loaded(platform);
    let size = guest.context.xstate_size() as u64;
    guest.context.save_xstate(FRAME).unwrap();
    guest.context.write(FRAME + size - 4, &[0; 4]).unwrap();
    guest.context.restore_xstate(FRAME).unwrap();
    assert_eq!(stored(platform, &mut *guest.context).0, PATTERN);
}

fn hostile_images_are_refused_or_harmless(platform: &dyn Platform) {
    for (at, value) in [
        (24, [0xff; 8]),  // reserved MXCSR bits
        (512, [0xff; 8]), // components that do not exist
        (520, [0xff; 8]), // xcomp_bv
        (528, [0xff; 8]), // reserved header bytes
        (568, [0xff; 8]),
        (468, [0xff; 8]), // extended_size
        (472, [0xff; 8]), // xfeatures
        (480, [0xff; 8]), // xstate_size
        (480, [0, 2, 0, 0, 0, 0, 0, 0]),
        (480, [0x40, 2, 0, 0, 0, 0, 0, 0]),
    ] {
        let mut guest = loaded(platform);
        guest.context.save_xstate(FRAME).unwrap();
        guest.context.write(FRAME + at, &value).unwrap();
        let refused = guest.context.restore_xstate(FRAME).is_err();
        if at == 24 || at == 520 {
            assert!(refused, "the processor refuses {value:?} at {at}");
        }
        guest.context.restore_xstate(0).unwrap();
        assert_eq!(stored(platform, &mut *guest.context), ([0; 16], 0x1f80, 0x37f), "after {value:?} at {at}");
    }
}

fn threads_and_forks_inherit_extended_state(platform: &dyn Platform) {
    let mut guest = loaded(platform);
    let mut thread = guest.context.clone_thread().unwrap();
    let mut child = guest.context.fork().unwrap();
    assert_eq!(stored(platform, &mut *thread).0, PATTERN);
    assert_eq!(stored(platform, &mut *child).0, PATTERN);
    let mut fresh = Guest::new(platform, LOAD_CALL_STORE);
    fresh.context.regs_mut().rdi = DATA + 0x100;
    assert_eq!(stored(platform, &mut *fresh.context), ([0; 16], 0x1f80, 0x37f));
}
