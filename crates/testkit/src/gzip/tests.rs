//! What is written can be read by others.

use super::Writer;

#[test]
fn a_body_of_two_pieces_is_one_gzip_member() {
    let mut writer = Writer::new();
    let mut coded = writer.piece(b"ab");
    coded.extend(writer.piece(b"c"));
    coded.extend(writer.end());
    let expected: &[&[u8]] = &[
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff],
        &[0, 2, 0, 0xfd, 0xff],
        b"ab",
        &[0, 1, 0, 0xfe, 0xff],
        b"c",
        &[1, 0, 0, 0xff, 0xff],
        &0x3524_41c2_u32.to_le_bytes(),
        &[3, 0, 0, 0],
    ];
    assert_eq!(coded, expected.concat());
}

#[test]
fn an_empty_body_is_gzip_too() {
    assert_eq!(Writer::new().end().len(), 23);
}
