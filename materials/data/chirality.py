"""Chirality as a feature of an atom: the same for every way to write a molecule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def with_canonical_chirality(molecule: Mol) -> Mol:
    """The molecule, its tags counting neighbours in the order of the canonical SMILES; atoms stay where they are.

    RDKit's tags say which way round the neighbours lie in the order the input lists them: C[C@H](N)O and C[C@@H](O)N
    are one molecule with opposite tags. Tags that mark no stereocentre are taken off.
    The order is that of Schneider, Sahnoun & Landrum, doi:10.1021/acs.jcim.5b00543.
    """
    from rdkit import Chem

    unspecified = Chem.ChiralType.CHI_UNSPECIFIED
    if all(atom.GetChiralTag() == unspecified for atom in molecule.GetAtoms()):
        return molecule
    molecule = Chem.Mol(molecule)
    # Without sanitising: the tags are known from the text alone, and no hydrogen is taken off.
    canonical = Chem.MolFromSmiles(Chem.MolToSmiles(molecule), sanitize=False)
    places = molecule.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
    for atom, place in zip(canonical.GetAtoms(), places, strict=True):
        molecule.GetAtomWithIdx(place).SetChiralTag(atom.GetChiralTag())
    return molecule
