"""What stands beside the clips of an archive, for whoever receives it: what it is, and how to verify it.

Belongs here: the text, in English and Portuguese. Does not: the facts (archive).
"""

import unicodedata
from collections.abc import Mapping

_UNSEEN = {"Cc", "Cf", "Zl", "Zp"}

_ENGLISH = """\
EXPORT OF RECORDINGS

{title}Range: {start} to {end} (UTC)
Made: {made_at} by {node}{asked_by}

player.html      open it in a browser: plays all clips in step, without any network
clips/           one MP4 for each camera
manifest.json    what is in this archive, with the SHA-256 of every file
manifest.sig     its signature (Ed25519) by the system that made the archive
manifest.pem     whose signature that is: certificates

HOW TO VERIFY

With VMS Enterprise, offline:
    vms verify ARCHIVE.zip --key PUBLIC_KEY
PUBLIC_KEY is the one that whoever runs the system gave you by another way than this archive: certificates in the
archive itself could have been exchanged together with everything else.

By hand: compare `sha256sum clips/*` with manifest.json, and check the signature, for example with OpenSSL 3:
    openssl x509 -in manifest.pem -pubkey -noout > signer.pub
    openssl pkeyutl -verify -pubin -inkey signer.pub -rawin -in manifest.json -sigfile manifest.sig

{burnt}
"""
_BURNT = (
    "The time was drawn below the pictures, so they were encoded anew: these clips are signed as they are now, and carry no\n"
    "proof of the recordings. To have that, export the same range without the time in the pictures."
)
_COPIED = "The clips hold the pictures byte for byte as they were recorded."
_PORTUGUESE = """\

--------------------------------------------------------------------------------

EXPORTAÇÃO DE GRAVAÇÕES

{title}Intervalo: {start} a {end} (UTC)
Feita em: {made_at} por {node}{asked_by}

player.html      abra em um navegador: reproduz todos os vídeos em sincronia, sem rede
clips/           um MP4 por câmera
manifest.json    o que há neste arquivo, com o SHA-256 de cada item
manifest.sig     a assinatura (Ed25519) do sistema que o fez
manifest.pem     de quem é a assinatura: certificados

COMO VERIFICAR

Com o VMS Enterprise, sem rede:
    vms verify ARQUIVO.zip --key CHAVE_PUBLICA
A chave pública é a que o responsável pelo sistema entregou por outro meio que não este arquivo.

À mão: compare `sha256sum clips/*` com manifest.json e confira a assinatura, por exemplo com OpenSSL 3:
    openssl x509 -in manifest.pem -pubkey -noout > signer.pub
    openssl pkeyutl -verify -pubin -inkey signer.pub -rawin -in manifest.json -sigfile manifest.sig

{burnt}
"""
_BURNT_PT = (
    "A hora foi desenhada abaixo das imagens, que por isso foram recodificadas: estes vídeos são assinados como estão e não\n"
    "provam as gravações originais. Para isso, exporte o mesmo intervalo sem a hora nas imagens."
)
_COPIED_PT = "Os vídeos contêm as imagens byte a byte como foram gravadas."


def readme_text(facts: Mapping[str, object]) -> str:
    """README.txt of an archive. facts: as its manifest has them."""
    title = f"{_one_line(facts['title'])}\n" if facts["title"] else ""
    asked_by = _one_line(facts["asked_by"])
    names = {key: facts[key] for key in ("start", "end", "made_at", "node")}
    burnt = facts["burn_in"] is not None
    english = _ENGLISH.format(
        **names,
        title=title,
        asked_by=f", asked for by {asked_by}" if asked_by else "",
        burnt=_BURNT if burnt else _COPIED,
    )
    portuguese = _PORTUGUESE.format(
        **names,
        title=title,
        asked_by=f", a pedido de {asked_by}" if asked_by else "",
        burnt=_BURNT_PT if burnt else _COPIED_PT,
    )
    return english + portuguese


def _one_line(text: object) -> str:
    """Without what could make it look like lines of this text, or turn those around: controls, bidirectional ones too."""
    shown = (" " if unicodedata.category(each) in _UNSEEN else each for each in str(text))
    return " ".join("".join(shown).split())
